import { mkdir, mkdtemp, realpath, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  layoutPath,
  type CommitResult,
  type RestoreEntry,
  type RestorePlan,
  type RestoreRun,
  type SwapSink,
  type SwapTicket,
} from '@foodsave-backup/component';
import { BackupError, assert, systemErrorCode, throwIfCancelled } from '@foodsave-backup/kernel';
import { SqliteChild } from './child/client.ts';
import { integrityLevel } from './config.ts';
import { checkLive, checkRestored } from './restore-check.ts';
import { emptyPlan, isWanted } from './restore-plan.ts';
import type { SqliteSource } from './sqlite-source.ts';
import { applyMeta, asidePath, removeDatabase, SIDECARS, stageContent, stagingPath } from './staging.ts';
import { DatabaseSwaps, toTicket, type DatabaseTicket } from './swaps.ts';

interface Staged {
  path: string;
  entry: RestoreEntry;
}

/**
 * Replaces the live database. `write` stages beside it and has SQLite check the staged file; `prepare` takes the locks, and
 * `commit` puts it in place by a rename under SQLite's exclusive lock or, when somebody has the database open, through the
 * backup API (child/replace.ts). A backup of a database with another path goes to the place that is configured now.
 */
export class LiveRestore implements SwapSink {
  readonly locks = true;
  private readonly source: SqliteSource;
  private readonly run: RestoreRun;
  private readonly notes: string[] = [];
  private staged: Staged | undefined;
  private plannedUnchanged = false;
  /**
   * One for the whole restore: it holds the locks from `prepare()` on, and the connection to a file that was renamed over. It
   * never has a connection to a file that it reads otherwise.
   */
  private started: SqliteChild | undefined;
  private prepared = false;
  private ticket: DatabaseTicket | undefined;
  private committed = false;
  private kept = false;

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
    await stageContent(entry, path, { signal: this.run.signal });
    const found = await this.child().call('facts', { path, integrity: integrityLevel(this.source.settings) });
    this.notes.push(...checkRestored(found, this.run.facts, 'the staged database'));
    for (const suffix of SIDECARS) await rm(path + suffix, { force: true });
    const owned = await applyMeta(path, entry.meta);
    if (!owned) this.run.warn({ code: 'OWNER_NOT_KEPT', message: 'The owner could not be set', path: entry.path });
  }

  async prepare(): Promise<SwapTicket | undefined> {
    throwIfCancelled(this.run.signal);
    const { staged } = this;
    if (staged === undefined) return undefined;
    const live = await this.livePath();
    const aside = asidePath(staged.path);
    const { busyTimeoutMs } = this.source.settings;
    // Not cancelled in the middle: whoever hears that it failed must find the live database untouched.
    const child = this.child();
    child.shield();
    this.prepared = true;
    const prepared = await child.call('prepareReplace', { live, staged: staged.path, aside, busyTimeoutMs });
    this.ticket = { ...prepared, live, staged: staged.path, aside };
    return toTicket(this.ticket);
  }

  async commit(): Promise<CommitResult> {
    const alone = !this.prepared;
    if (alone) await this.prepare();
    const { staged } = this;
    if (staged === undefined) return { files: 0, bytes: 0, notes: [...this.notes] };
    this.notes.push(...(await this.child().call('replace', {})).notes);
    this.committed = true;
    const result = { files: 1, bytes: staged.entry.size };
    if (!alone) return { ...result, notes: [...this.notes] };
    try {
      return { ...result, notes: [...this.notes, ...(await this.check())] };
    } catch (error) {
      await this.revert();
      throw error;
    } finally {
      await this.close();
    }
  }

  async check(): Promise<string[]> {
    const { ticket, staged } = this;
    if (!this.committed || ticket === undefined || staged === undefined) return [];
    if (ticket.method === 'overwrite') return this.checkOverwritten(ticket);
    const { notes } = await this.child().call('lookBack', {});
    return [...notes, ...(await this.checkRenamed(ticket, staged.entry))];
  }

  async revert(): Promise<boolean> {
    if (!this.committed || this.ticket === undefined) return true;
    // Its connection to the replaced file ends before that becomes the live one again.
    this.started?.close();
    return new DatabaseSwaps(this.source).undo(toTicket(this.ticket));
  }

  keep(): void {
    this.kept = true;
  }

  async close(): Promise<void> {
    this.started?.close();
    const { staged, ticket } = this;
    this.staged = undefined;
    this.ticket = undefined;
    if (staged === undefined) return;
    if (this.kept && ticket !== undefined) await new DatabaseSwaps(this.source).keep(toTicket(ticket));
    await removeDatabase(staged.path);
    await removeDatabase(asidePath(staged.path));
  }

  /** The file that was checked by SQLite while it was staged is in place, unless somebody already writes to it. */
  private async checkRenamed({ live }: DatabaseTicket, entry: RestoreEntry): Promise<string[]> {
    const expected = entry.sha256;
    if (expected === undefined) return [];
    const { sha256 } = await this.child().call('hash', { path: live });
    if (sha256 === Buffer.from(expected).toString('hex')) return [];
    return ['The application began to write to the restored database while it was being checked.'];
  }

  private async checkOverwritten({ live }: DatabaseTicket): Promise<string[]> {
    const found = await this.child().call('facts', { path: live, integrity: integrityLevel(this.source.settings) });
    const notes = checkLive(found, this.run.facts, 'the live database');
    // The staged file said the same already.
    return notes.filter((note) => !this.notes.includes(note));
  }

  /** Exact, but only tried where the sizes allow it: a capture of an unchanged database has the same bytes each time. */
  private async isUnchanged(entry: Omit<RestoreEntry, 'content'>, liveSize: number): Promise<boolean> {
    const { sha256 } = entry;
    if (sha256 === undefined || liveSize !== entry.size) return false;
    const { context, settings } = this.source;
    const directory = await mkdtemp(join(context.scratchDir, 'sqlite-'));
    try {
      const child = this.child();
      const { path, busyTimeoutMs } = settings;
      const wanted = Buffer.from(sha256).toString('hex');
      // As it was captured: where it lies, or through the backup API, which sets some fields of the header anew.
      if ((await child.call('hashStill', { path, busyTimeoutMs })).sha256 === wanted) return true;
      const snapshot = join(directory, 'snapshot.db');
      await child.call('capture', { path, snapshot, busyTimeoutMs });
      return (await child.call('hash', { path: snapshot })).sha256 === wanted;
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

  private child(): SqliteChild {
    const { context, binding } = this.source;
    this.started ??= new SqliteChild({ binding, scratchDir: context.scratchDir, signal: this.run.signal });
    return this.started;
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
