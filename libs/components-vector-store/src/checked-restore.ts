import { join } from 'node:path';
import { assertLayoutPath, type CommitResult, type RestoreRun, type RestoreSink } from '@foodsave-backup/component';
import { BackupError } from '@foodsave-backup/kernel';
import { verifyFacts } from './facts.ts';
import { fileReader, type FileReader } from './reader.ts';

/** Opens what was restored and compares it with the facts of the backup, while other components are written. */
export class CheckedRestore implements RestoreSink {
  private readonly inner: RestoreSink;
  private readonly directory: string;
  private readonly run: RestoreRun;
  private readonly stop = new AbortController();
  /** Whether the files are what the facts say. */
  private check: Promise<boolean> | undefined;

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

  written(): void {
    this.check ??= this.verify();
    // `commit` tells of it.
    this.check.catch(() => undefined);
  }

  async commit(): Promise<CommitResult> {
    this.written();
    const ok = await this.check;
    const result = await this.inner.commit();
    if (ok === true) return result;
    throw new BackupError(
      'VERIFICATION_FAILED',
      'Verification failed: the restored vector store is not what its facts say',
      {
        hint: 'Choose another backup, and run verify on this one. The restored files are left for you to look at.',
      },
    );
  }

  async close(): Promise<void> {
    this.stop.abort();
    await this.check?.catch(() => undefined);
    await this.inner.close();
  }

  private async verify(): Promise<boolean> {
    const opened: FileReader[] = [];
    try {
      const { ok } = await verifyFacts(
        async (path) => {
          assertLayoutPath(path);
          const reader = await fileReader(join(this.directory, path), { direct: true }).catch(() => undefined);
          if (reader !== undefined) opened.push(reader);
          return reader;
        },
        this.run.facts,
        AbortSignal.any([this.run.signal, this.stop.signal]),
      );
      return ok;
    } finally {
      for (const reader of opened) await reader.close();
    }
  }
}
