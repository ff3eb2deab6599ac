import { join } from 'node:path';
import { assertLayoutPath, type CommitResult, type RestoreRun, type RestoreSink } from '@foodsave-backup/component';
import { BackupError } from '@foodsave-backup/kernel';
import { verifyFacts } from './facts.ts';
import { fileReader, type FileReader } from './reader.ts';

/** Opens what was restored and compares it with the facts of the backup. */
export class CheckedRestore implements RestoreSink {
  private readonly inner: RestoreSink;
  private readonly directory: string;
  private readonly run: RestoreRun;

  constructor(inner: RestoreSink, directory: string, run: RestoreRun) {
    this.inner = inner;
    this.directory = directory;
    this.run = run;
  }

  plan(...args: Parameters<RestoreSink['plan']>): ReturnType<RestoreSink['plan']> {
    return this.inner.plan(...args);
  }

  write(...args: Parameters<RestoreSink['write']>): ReturnType<RestoreSink['write']> {
    return this.inner.write(...args);
  }

  async commit(): Promise<CommitResult> {
    const result = await this.inner.commit();
    const opened: FileReader[] = [];
    try {
      const check = await verifyFacts(
        async (path) => {
          assertLayoutPath(path);
          const reader = await fileReader(join(this.directory, path)).catch(() => undefined);
          if (reader !== undefined) opened.push(reader);
          return reader;
        },
        this.run.facts,
        this.run.signal,
      );
      if (check.ok) return result;
    } finally {
      for (const reader of opened) await reader.close();
    }
    throw new BackupError(
      'VERIFICATION_FAILED',
      'Verification failed: the restored vector store is not what its facts say',
      {
        hint: 'Choose another backup, and run verify on this one. The restored files are left for you to look at.',
      },
    );
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}
