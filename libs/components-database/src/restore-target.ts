import { lstat, mkdir, realpath, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import {
  assertLayoutPath,
  type CommitResult,
  type RestoreEntry,
  type RestorePlan,
  type RestoreRun,
  type RestoreSink,
} from '@foodsave-backup/component';
import { BackupError, printable, systemErrorCode, throwIfCancelled } from '@foodsave-backup/kernel';
import { SqliteChild } from './child/client.ts';
import { checkRestored } from './restore-check.ts';
import { emptyPlan, isWanted } from './restore-plan.ts';
import type { SqliteSource } from './sqlite-source.ts';
import { applyMeta, removeDatabase, SIDECARS, stageContent, stagingPath } from './staging.ts';
import { syncDirectory, syncFile } from './sync.ts';

interface Staged {
  entry: RestoreEntry;
  path: string;
  final: string;
  /** It is durable, and SQLite has found nothing. */
  checked: Promise<void>;
}

/**
 * Lays a database out below a directory, checked by SQLite and byte for byte what the backup holds. SQLite looks at it in a
 * process of its own while other components are written; it gets its name in `commit`, when nothing was found.
 */
export class TargetRestore implements RestoreSink {
  private readonly source: SqliteSource;
  private readonly run: RestoreRun;
  private readonly directory: string;
  private readonly staged = new Map<string, Staged>();
  private readonly checks = new AbortController();
  private readonly notes: string[] = [];
  private files = 0;
  private bytes = 0;

  constructor(source: SqliteSource, run: RestoreRun, directory: string) {
    this.source = source;
    this.run = run;
    this.directory = resolve(directory);
  }

  async plan(entries: AsyncIterable<Omit<RestoreEntry, 'content'>>): Promise<RestorePlan> {
    const plan = emptyPlan();
    for await (const entry of entries) {
      if (!isWanted(entry, this.run)) continue;
      assertLayoutPath(entry.path);
      const kind = (await exists(join(this.directory, entry.path))) ? 'replaced' : 'added';
      plan[kind].push(entry.path);
      plan.counts[kind]++;
      plan.bytes += entry.size;
    }
    return plan;
  }

  async write(entry: RestoreEntry): Promise<void> {
    throwIfCancelled(this.run.signal);
    if (!isWanted(entry, this.run)) return;
    assertLayoutPath(entry.path);
    const final = join(this.directory, entry.path);
    await mkdir(dirname(final), { recursive: true });
    await this.assertInside(final);
    const path = stagingPath(final);
    await stageContent(entry, path, { signal: this.run.signal, sync: false });
    const checked = Promise.all([syncFile(path), this.check(path)]).then(() => undefined);
    // `commit` tells of it.
    checked.catch(() => undefined);
    this.staged.set(path, { entry, path, final, checked });
  }

  async commit(): Promise<CommitResult> {
    for (const staged of this.staged.values()) await this.finish(staged);
    return { files: this.files, bytes: this.bytes, notes: [...this.notes] };
  }

  private async finish({ entry, path, final, checked }: Staged): Promise<void> {
    await checked;
    throwIfCancelled(this.run.signal);
    for (const suffix of SIDECARS) await rm(path + suffix, { force: true });
    if (!(await applyMeta(path, entry.meta))) this.noteOwner(entry.path);
    // Of an earlier file of this name; SQLite would apply them to the new one.
    for (const suffix of SIDECARS) await rm(final + suffix, { force: true });
    await rename(path, final);
    this.staged.delete(path);
    await syncDirectory(dirname(final));
    this.files++;
    this.bytes += entry.size;
  }

  async close(): Promise<void> {
    this.checks.abort();
    for (const { path, checked } of this.staged.values()) {
      await checked.catch(() => undefined);
      await removeDatabase(path);
    }
    this.staged.clear();
  }

  private async check(staged: string): Promise<void> {
    const { context, binding } = this.source;
    const signal = AbortSignal.any([this.run.signal, this.checks.signal]);
    const child = new SqliteChild({ binding, scratchDir: context.scratchDir, signal });
    try {
      const found = await child.call('facts', { path: staged, integrity: 'quick', toCompare: true });
      this.notes.push(...checkRestored(found, this.run.facts, 'the restored database'));
    } finally {
      child.close();
    }
  }

  /** A symbolic link that lies in the target must not lead out of it. */
  private async assertInside(final: string): Promise<void> {
    const [root, parent] = [await realpath(this.directory), await realpath(dirname(final))];
    if (parent === root || parent.startsWith(root.endsWith(sep) ? root : root + sep)) return;
    throw new BackupError('TARGET_INVALID', `${printable(final)} leads out of the target directory`, {
      hint: 'Restore into an empty directory.',
    });
  }

  private noteOwner(path: string): void {
    this.run.warn({ code: 'OWNER_NOT_KEPT', message: 'The owner could not be set', path });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ENOTDIR') return false;
    throw error;
  }
}
