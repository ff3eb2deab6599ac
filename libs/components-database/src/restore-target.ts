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
import { syncDirectory } from './sync.ts';

/** Lays a database out below a directory, checked by SQLite and byte for byte what the backup holds. */
export class TargetRestore implements RestoreSink {
  private readonly source: SqliteSource;
  private readonly run: RestoreRun;
  private readonly directory: string;
  private readonly staged = new Set<string>();
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
    const staged = stagingPath(final);
    this.staged.add(staged);
    await stageContent(entry, staged, this.run.signal);
    await this.check(staged);
    for (const suffix of SIDECARS) await rm(staged + suffix, { force: true });
    if (!(await applyMeta(staged, entry.meta))) this.noteOwner(entry.path);
    // Of an earlier file of this name; SQLite would apply them to the new one.
    for (const suffix of SIDECARS) await rm(final + suffix, { force: true });
    await rename(staged, final);
    this.staged.delete(staged);
    await syncDirectory(dirname(final));
    this.files++;
    this.bytes += entry.size;
  }

  commit(): Promise<CommitResult> {
    return Promise.resolve({ files: this.files, bytes: this.bytes, notes: [...this.notes] });
  }

  async close(): Promise<void> {
    for (const staged of this.staged) await removeDatabase(staged);
    this.staged.clear();
  }

  private async check(staged: string): Promise<void> {
    const { context, binding } = this.source;
    const child = new SqliteChild({ binding, scratchDir: context.scratchDir, signal: this.run.signal });
    try {
      const found = await child.call('facts', { path: staged, integrity: 'quick' });
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
