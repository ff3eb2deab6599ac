import { mkdir, mkdtemp, realpath, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  layoutPath,
  type CommitResult,
  type RestoreEntry,
  type RestorePlan,
  type RestoreRun,
  type RestoreSink,
} from '@foodsave-backup/component';
import { BackupError, assert, systemErrorCode, throwIfCancelled } from '@foodsave-backup/kernel';
import { SqliteChild } from './child/client.ts';
import { checkLive, checkRestored } from './restore-check.ts';
import { emptyPlan, isWanted } from './restore-plan.ts';
import type { SqliteSource } from './sqlite-source.ts';
import { applyMeta, removeDatabase, SIDECARS, stageContent, stagingPath } from './staging.ts';

interface Staged {
  path: string;
  entry: RestoreEntry;
}

/**
 * Replaces the live database. `write` stages beside it and has SQLite check the staged file; `commit` puts it in place by a
 * rename under SQLite's exclusive lock or, when somebody has the database open, through the backup API (child/replace.ts).
 * A backup of a database with another path goes to the place that is configured now.
 */
export class LiveRestore implements RestoreSink {
  private readonly source: SqliteSource;
  private readonly run: RestoreRun;
  private readonly notes: string[] = [];
  private staged: Staged | undefined;
  private plannedUnchanged = false;

  constructor(source: SqliteSource, run: RestoreRun) {
    this.source = source;
    this.run = run;
  }

  async plan(entries: AsyncIterable<Omit<RestoreEntry, 'content'>>): Promise<RestorePlan> {
    const plan = emptyPlan();
    for await (const entry of entries) {
      if (!isWanted(entry, this.run)) continue;
      const size = await this.liveSize();
      if (size !== undefined && (await this.isUnchanged(entry, size))) {
        plan.counts.unchanged++;
        this.plannedUnchanged = true;
        continue;
      }
      const kind = size === undefined ? 'added' : 'replaced';
      plan[kind].push(layoutPath(this.source.context.baseDir, this.source.settings.path));
      plan.counts[kind]++;
      plan.bytes += entry.size;
    }
    return plan;
  }

  async write(entry: RestoreEntry): Promise<void> {
    throwIfCancelled(this.run.signal);
    assert(!this.run.dryRun, 'a dry run writes nothing');
    if (!isWanted(entry, this.run)) return;
    if (this.plannedUnchanged && (await this.isStillUnchanged(entry))) {
      this.notes.push('The database already was as in the backup.');
      return;
    }
    if (this.staged !== undefined) {
      throw new BackupError('RESTORE_FAILED', 'The backup holds more than one file for one database', {
        hint: 'Restore it into a directory and choose the file by hand.',
      });
    }
    const live = await this.livePath();
    await mkdir(dirname(live), { recursive: true });
    const path = stagingPath(live);
    this.staged = { path, entry };
    await stageContent(entry, path, this.run.signal);
    await this.withChild(this.run.signal, async (child) => {
      const found = await child.call('facts', { path, integrity: this.source.settings.integrityCheck });
      this.notes.push(...checkRestored(found, this.run.facts, 'the staged database'));
    });
    for (const suffix of SIDECARS) await rm(path + suffix, { force: true });
    const owned = await applyMeta(path, entry.meta);
    if (!owned) this.run.warn({ code: 'OWNER_NOT_KEPT', message: 'The owner could not be set', path: entry.path });
  }

  async commit(): Promise<CommitResult> {
    throwIfCancelled(this.run.signal);
    const { staged } = this;
    if (staged === undefined) return { files: 0, bytes: 0, notes: [...this.notes] };
    const live = await this.livePath();
    // Not cancelled in the middle: whoever hears that it failed must find the live database untouched.
    await this.withChild(undefined, async (child) => {
      const { busyTimeoutMs } = this.source.settings;
      const { method, notes } = await child.call('replace', { live, staged: staged.path, busyTimeoutMs });
      this.notes.push(...notes);
      if (method === 'renamed') await this.checkRenamed(child, live, staged.entry);
      else await this.checkOverwritten(child, live);
    });
    await this.close();
    return { files: 1, bytes: staged.entry.size, notes: [...this.notes] };
  }

  async close(): Promise<void> {
    if (this.staged !== undefined) await removeDatabase(this.staged.path);
    this.staged = undefined;
  }

  /** The file that was checked by SQLite while it was staged is in place, unless somebody already writes to it. */
  private async checkRenamed(child: SqliteChild, live: string, entry: RestoreEntry): Promise<void> {
    const expected = entry.sha256;
    if (expected === undefined) return;
    const { sha256 } = await child.call('hash', { path: live });
    if (sha256 === Buffer.from(expected).toString('hex')) return;
    this.notes.push('The application began to write to the restored database while it was being checked.');
  }

  private async checkOverwritten(child: SqliteChild, live: string): Promise<void> {
    const found = await child.call('facts', { path: live, integrity: this.source.settings.integrityCheck });
    const notes = checkLive(found, this.run.facts, 'the live database');
    // The staged file said the same already.
    this.notes.push(...notes.filter((note) => !this.notes.includes(note)));
  }

  /** Exact, but only tried where the sizes allow it: a capture of an unchanged database has the same bytes each time. */
  private async isUnchanged(entry: Omit<RestoreEntry, 'content'>, liveSize: number): Promise<boolean> {
    const { sha256 } = entry;
    if (sha256 === undefined || liveSize !== entry.size) return false;
    const { context, settings } = this.source;
    const directory = await mkdtemp(join(context.scratchDir, 'sqlite-'));
    try {
      return await this.withChild(this.run.signal, async (child) => {
        const snapshot = join(directory, 'snapshot.db');
        await child.call('capture', { path: settings.path, snapshot, busyTimeoutMs: settings.busyTimeoutMs });
        return (await child.call('hash', { path: snapshot })).sha256 === Buffer.from(sha256).toString('hex');
      });
    } catch (error) {
      // A live database that cannot be captured is certainly not what the backup holds.
      if (error instanceof BackupError && error.code.startsWith('SOURCE_')) return false;
      throw error;
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  /** Looked at again, because the plan is older: what is committed from here on comes after the restore. */
  private async isStillUnchanged(entry: RestoreEntry): Promise<boolean> {
    const size = await this.liveSize();
    return size !== undefined && this.isUnchanged(entry, size);
  }

  private async withChild<T>(signal: AbortSignal | undefined, use: (child: SqliteChild) => Promise<T>): Promise<T> {
    const { context, binding } = this.source;
    const child = new SqliteChild({
      binding,
      scratchDir: context.scratchDir,
      ...(signal === undefined ? {} : { signal }),
    });
    try {
      return await use(child);
    } finally {
      child.close();
    }
  }

  private async liveSize(): Promise<number | undefined> {
    try {
      return (await stat(this.source.settings.path)).size;
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ENOTDIR') return undefined;
      throw error;
    }
  }

  /** Where the bytes lie: a symbolic link to the database stays one. */
  private async livePath(): Promise<string> {
    try {
      return await realpath(this.source.settings.path);
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return this.source.settings.path;
      throw error;
    }
  }
}
