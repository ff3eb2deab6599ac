import type { BigIntStats } from 'node:fs';
import { link, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BackupError, printable, systemErrorCode, toBackupError } from '@foodsave-backup/kernel';
import { parseHeader } from '../header.ts';
import { syncDirectory } from '../sync.ts';
import { resultName, type PendingOverwrite, type SqliteBinding, type SqliteConnection } from './binding.ts';
import { notAFile } from './errors.ts';
import { printsOf, readHeader, removeSidecars, SIDECAR_SUFFIXES, statIfThere } from './files.ts';
import { findHolders, type Holders } from './holders.ts';
import type { ChildOperations, PreparedReplace, Prints } from './protocol.ts';

type ReplaceRequest = ChildOperations['prepareReplace']['request'];

const STOP_APPLICATION = 'Stop the application and run the restore again.';
/** Whoever holds the database for longer is using it, and will be served by the backup API. */
const EXCLUSIVE_WAIT_MS = 1_000;

interface Prepared extends PreparedReplace {
  /** The move itself. Gives notes. */
  carryOut(): Promise<string[]>;
}

/**
 * Puts a checked file in the place of a live database. When nobody has that open it is renamed over it under SQLite's
 * exclusive lock; otherwise the backup API copies it into the live file in one transaction, which every open connection sees
 * at its next one. Either is prepared first: the lock is taken and kept until `replace()`, or until this process ends.
 *
 * A connection to a replaced file must neither be closed nor collected, since closing deletes `-wal` by name, which may already
 * be the successor's. So it is kept here, and the process is to be killed.
 */
export class Replacer {
  private readonly binding: SqliteBinding;
  private readonly retained: SqliteConnection[] = [];
  private prepared: Prepared | undefined;
  private replaced: BigIntStats | undefined;

  constructor(binding: SqliteBinding) {
    this.binding = binding;
  }

  /** Throws RESTORE_FAILED. */
  prepare(request: ReplaceRequest): Promise<PreparedReplace> {
    return failing(async () => {
      this.prepared = await this.choose(request);
      const { method, was, is, schemaVersion } = this.prepared;
      return {
        method,
        is,
        ...(was === undefined ? {} : { was }),
        ...(schemaVersion === undefined ? {} : { schemaVersion }),
      };
    });
  }

  /** Throws RESTORE_FAILED with the live database as it was. */
  replace(): Promise<{ notes: string[] }> {
    return failing(async () => {
      const { prepared } = this;
      this.prepared = undefined;
      if (prepared === undefined) throw new BackupError('INTERNAL', 'No replacement of a database was prepared');
      return { notes: await prepared.carryOut() };
    });
  }

  /** Who opened the replaced file between the look for holders and the rename. */
  async lookBack(): Promise<{ notes: string[] }> {
    const pids = this.replaced === undefined ? [] : (await findHolders(this.replaced)).pids;
    if (pids.length === 0) return { notes: [] };
    const who = pids.join(', ');
    return {
      notes: [
        `Restart process ${who}: it opened the database at the moment of the restore and still sees the old one.`,
      ],
    };
  }

  /** Throws RESTORE_FAILED when somebody has it open. */
  retract({ live, staged }: ChildOperations['retract']['request']): Promise<Record<string, never>> {
    return failing(async () => {
      const found = await statIfThere(live);
      if (found === undefined) return {};
      const lock = await lockExclusively(this.binding, live, found.size);
      const holders = await findHolders(found);
      if (lock.state === 'locked') this.retained.push(lock.connection);
      if (lock.state === 'held' || holders.pids.length > 0 || (lock.state === 'locked' && !isFree(lock.wal, holders))) {
        throw new BackupError(
          'RESTORE_FAILED',
          `${printable(live)} was not there before the restore and is in use now`,
          {
            hint: STOP_APPLICATION,
          },
        );
      }
      if (lock.state === 'locked' && lock.wal) await emptyLog(lock.connection);
      await rename(live, staged);
      await removeSidecars(live);
      await syncDirectory(dirname(live));
      return {};
    });
  }

  private async choose(request: ReplaceRequest): Promise<Prepared> {
    const { live } = request;
    const before = await statIfThere(live);
    if (before === undefined) return renaming(request, () => renameOver(request));
    if (!before.isFile()) throw notAFile(live);
    const lock = await lockExclusively(this.binding, live, before.size);
    const holders = await findHolders(before);
    if (lock.state === 'unusable') {
      if (holders.pids.length > 0) throw heldAndDamaged(live, holders);
      const notes = holders.everyone ? [] : [unseenNote()];
      return renaming(request, async () => [...notes, ...(await renameOver(request))]);
    }
    if (lock.connection !== undefined && isFree(lock.wal, holders)) {
      const { connection } = lock;
      this.retained.push(connection);
      if (lock.wal) await emptyLog(connection);
      this.replaced = before;
      return renaming(request, () => renameOver(request));
    }
    await lock.connection?.close();
    const known = lock.state === 'held' || holders.pids.length > 0;
    return this.overwriting(request, known ? heldNote() : perhapsHeldNote());
  }

  private async overwriting({ live, staged, busyTimeoutMs }: ReplaceRequest, note: string): Promise<Prepared> {
    const [old, fresh] = [parseHeader(await readHeader(live)), parseHeader(await readHeader(staged))];
    if (old !== undefined && fresh !== undefined && old.pageSize !== fresh.pageSize && old.wal) {
      throw new BackupError(
        'RESTORE_FAILED',
        `The live database is in use and has pages of ${String(old.pageSize)} bytes, the backup has ${String(fresh.pageSize)}; ` +
          'in WAL mode SQLite cannot change that under open connections',
        { hint: STOP_APPLICATION, details: { reason: 'PAGE_SIZE' } },
      );
    }
    let pending: PendingOverwrite;
    try {
      pending = await this.binding.beginOverwrite(live, staged, busyTimeoutMs);
    } catch (error) {
      const name = resultName(error);
      if (name !== 'BUSY' && name !== 'LOCKED') throw error;
      throw new BackupError('RESTORE_FAILED', `${printable(live)} stayed locked by another process`, {
        hint: `Let its long transaction end, or stop the application. Then run the restore again.`,
        details: { reason: 'LOCKED' },
        cause: error,
      });
    }
    const { schemaVersion } = pending;
    const was = overwritePrint(await printsOf(live));
    return {
      method: 'overwrite',
      was,
      is: (await printsOf(staged)).database ?? '',
      schemaVersion,
      async carryOut() {
        await pending.commit();
        return [note];
      },
    };
  }
}

/** As the lock finds it: file and log, since either tells of a later write. */
export function overwritePrint({ database = '', log = '' }: Prints): string {
  return `${database} | ${log}`;
}

async function renaming({ live, staged }: ReplaceRequest, carryOut: () => Promise<string[]>): Promise<Prepared> {
  const was = (await printsOf(live)).database;
  const is = (await printsOf(staged)).database ?? '';
  return { method: 'rename', is, ...(was === undefined ? {} : { was }), carryOut };
}

async function failing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof BackupError) throw error;
    throw new BackupError('RESTORE_FAILED', `The database could not be replaced: ${toBackupError(error).message}`, {
      hint: 'Check the owner and the mode of the database and its directory, then run the restore again.',
      cause: error,
    });
  }
}

/**
 * In WAL mode every connection that has read anything keeps a lock, so holding all of it is proof. With a rollback journal an
 * idle connection keeps none: there only the list of open files tells, and only when all processes could be looked at.
 */
function isFree(wal: boolean, holders: Holders): boolean {
  return holders.pids.length === 0 && (wal || holders.everyone);
}

type Lock =
  | { state: 'locked'; connection: SqliteConnection; wal: boolean }
  | { state: 'held'; connection?: undefined }
  | { state: 'unusable'; connection?: undefined };

async function lockExclusively(binding: SqliteBinding, live: string, size: bigint): Promise<Lock> {
  // A file of no bytes is a database without tables, which an application may have just made and have open.
  if (size > 0n && parseHeader(await readHeader(live)) === undefined) return { state: 'unusable' };
  let connection: SqliteConnection | undefined;
  try {
    connection = await binding.open(live, { mode: 'readwrite', busyTimeoutMs: EXCLUSIVE_WAIT_MS });
    await connection.all('PRAGMA locking_mode = EXCLUSIVE');
    await connection.exec('BEGIN EXCLUSIVE');
    await connection.exec('COMMIT');
    const [row] = await connection.all('PRAGMA journal_mode');
    return { state: 'locked', connection, wal: row?.['journal_mode'] === 'wal' };
  } catch (error) {
    await connection?.close();
    const name = resultName(error);
    if (name === 'BUSY' || name === 'LOCKED') return { state: 'held' };
    if (name === 'CORRUPT' || name === 'NOTADB') return { state: 'unusable' };
    throw error;
  }
}

/**
 * A log that outlived its database would be replayed into the new one by the first who opens it, also after a crash right
 * behind the rename. Emptied, it is harmless, and the old database has lost nothing.
 */
async function emptyLog(connection: SqliteConnection): Promise<void> {
  const [row] = await connection.all('PRAGMA wal_checkpoint(TRUNCATE)');
  if (row?.['busy'] === 0) return;
  throw new BackupError('RESTORE_FAILED', 'The write-ahead log of the live database could not be emptied', {
    hint: STOP_APPLICATION,
  });
}

/**
 * A log or journal of the old database must never stand beside the new one, not even if the machine stops in between, or
 * SQLite would apply it. So what is left of them moves aside first, and back if the rename fails. The old file keeps a second
 * name, so that the restore can be taken back.
 */
async function renameOver({ live, staged, aside }: ReplaceRequest): Promise<string[]> {
  const moved: string[] = [];
  try {
    for (const suffix of SIDECAR_SUFFIXES) {
      if ((await statIfThere(live + suffix)) === undefined) continue;
      await rename(live + suffix, aside + suffix);
      moved.push(suffix);
    }
    await keepAside(live, aside);
    await rename(staged, live);
  } catch (error) {
    for (const suffix of moved) await rename(aside + suffix, live + suffix);
    throw error;
  }
  await syncDirectory(dirname(live));
  return [];
}

/** Where the file system has no hard links, only the safety backup keeps the old file: it must not be without its name for an instant. */
async function keepAside(live: string, aside: string): Promise<void> {
  try {
    await link(live, aside);
  } catch (error) {
    const code = systemErrorCode(error) ?? '';
    if (!['ENOENT', 'EEXIST', 'EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EMLINK'].includes(code)) throw error;
  }
}

function heldAndDamaged(live: string, holders: Holders): BackupError {
  return new BackupError(
    'RESTORE_FAILED',
    `${printable(live)} is damaged and process ${holders.pids.join(', ')} has it open`,
    { hint: STOP_APPLICATION, details: { reason: 'HELD', pids: holders.pids } },
  );
}

function heldNote(): string {
  return 'The database was in use: its open connections see the restored state at their next transaction.';
}

function perhapsHeldNote(): string {
  return (
    'Processes of other users could not be looked at, so the database was overwritten in place as if it were in use. ' +
    'Owner and mode are as they were.'
  );
}

function unseenNote(): string {
  return 'The replaced database was damaged, and processes of other users could not be looked at: restart the application.';
}
