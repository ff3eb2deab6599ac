import { rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BackupError, printable, toBackupError } from '@foodsave-backup/kernel';
import { parseHeader } from '../header.ts';
import { syncDirectory } from '../sync.ts';
import { resultName, type SqliteBinding, type SqliteConnection } from './binding.ts';
import { notAFile } from './errors.ts';
import { readHeader, SIDECAR_SUFFIXES, statIfThere } from './files.ts';
import { findHolders, type Holders } from './holders.ts';
import type { ChildOperations, ReplaceResult } from './protocol.ts';

type ReplaceRequest = ChildOperations['replace']['request'];

const STOP_APPLICATION = 'Stop the application and run the restore again.';
/** Whoever holds the database for longer is using it, and will be served by the backup API. */
const EXCLUSIVE_WAIT_MS = 1_000;

/**
 * Puts a checked file in the place of a live database. When nobody has that open it is renamed over it under SQLite's
 * exclusive lock; otherwise the backup API copies it into the live file in one transaction, which every open connection sees
 * at its next one. Throws RESTORE_FAILED (or LOCKED) with the live database as it was.
 *
 * After a rename the connection to the replaced file is added to `retained`: it must neither be closed nor collected, since
 * closing deletes `-wal` by name, which may already be the successor's. The process is to be killed instead.
 */
export async function replaceDatabase(
  binding: SqliteBinding,
  request: ReplaceRequest,
  retained: SqliteConnection[],
): Promise<ReplaceResult> {
  try {
    const before = await statIfThere(request.live);
    if (before === undefined) return await renameOver(request, []);
    if (!before.isFile()) throw notAFile(request.live);
    const lock = await lockExclusively(binding, request.live);
    const holders = await findHolders(before);
    if (lock.state === 'unusable') {
      if (holders.pids.length > 0) throw heldAndDamaged(request.live, holders);
      return await renameOver(request, holders.everyone ? [] : [unseenNote()]);
    }
    if (lock.connection !== undefined && isFree(lock.wal, holders)) {
      retained.push(lock.connection);
      return await renameUnderLock(request, lock.connection, lock.wal);
    }
    await lock.connection?.close();
    const known = lock.state === 'held' || holders.pids.length > 0;
    return await overwriteLive(binding, request, known ? heldNote() : perhapsHeldNote());
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

async function lockExclusively(binding: SqliteBinding, live: string): Promise<Lock> {
  if (parseHeader(await readHeader(live)) === undefined) return { state: 'unusable' };
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

async function renameUnderLock(
  request: ReplaceRequest,
  connection: SqliteConnection,
  wal: boolean,
): Promise<ReplaceResult> {
  // The locked file, by its descriptor's inode; after the rename its name belongs to the successor.
  const replaced = await stat(request.live, { bigint: true });
  if (wal) {
    // A log that outlived its database would be replayed into the new one by the first who opens it, also after a crash right
    // behind the rename. Emptied, it is harmless, and the old database has lost nothing.
    const [row] = await connection.all('PRAGMA wal_checkpoint(TRUNCATE)');
    if (row?.['busy'] !== 0) {
      throw new BackupError('RESTORE_FAILED', 'The write-ahead log of the live database could not be emptied', {
        hint: STOP_APPLICATION,
      });
    }
  }
  const result = await renameOver(request, []);
  const late = await findHolders(replaced);
  if (late.pids.length > 0) {
    result.notes.push(
      `Restart process ${late.pids.join(', ')}: it opened the database at the moment of the restore and still sees the old one.`,
    );
  }
  return result;
}

/**
 * A log or journal of the old database must never stand beside the new one, not even if the machine stops in between, or
 * SQLite would apply it. So what is left of them moves aside first, and back if the rename fails.
 */
async function renameOver({ live, staged }: ReplaceRequest, notes: string[]): Promise<ReplaceResult> {
  const moved: string[] = [];
  try {
    for (const suffix of SIDECAR_SUFFIXES) {
      if ((await statIfThere(live + suffix)) === undefined) continue;
      await rename(live + suffix, `${staged}-old${suffix}`);
      moved.push(suffix);
    }
    await rename(staged, live);
  } catch (error) {
    for (const suffix of moved) await rename(`${staged}-old${suffix}`, live + suffix);
    throw error;
  }
  for (const suffix of moved) await rm(`${staged}-old${suffix}`, { force: true });
  await syncDirectory(dirname(live));
  return { method: 'renamed', notes };
}

async function overwriteLive(
  binding: SqliteBinding,
  { live, staged, busyTimeoutMs }: ReplaceRequest,
  note: string,
): Promise<ReplaceResult> {
  const [old, fresh] = [parseHeader(await readHeader(live)), parseHeader(await readHeader(staged))];
  if (old !== undefined && fresh !== undefined && old.pageSize !== fresh.pageSize && old.wal) {
    throw new BackupError(
      'RESTORE_FAILED',
      `The live database is in use and has pages of ${String(old.pageSize)} bytes, the backup has ${String(fresh.pageSize)}; ` +
        'in WAL mode SQLite cannot change that under open connections',
      { hint: STOP_APPLICATION, details: { reason: 'PAGE_SIZE' } },
    );
  }
  try {
    await binding.overwrite(live, staged, busyTimeoutMs);
  } catch (error) {
    const name = resultName(error);
    if (name !== 'BUSY' && name !== 'LOCKED') throw error;
    throw new BackupError('RESTORE_FAILED', 'The live database stayed locked by another process', {
      hint: `Let its long transaction end, or stop the application. Then run the restore again.`,
      details: { reason: 'LOCKED' },
      cause: error,
    });
  }
  return { method: 'overwritten', notes: [note] };
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
