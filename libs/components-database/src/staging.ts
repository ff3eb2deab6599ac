import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, chown, open, rm, statfs, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimes, STAGE_PREFIX, type EntryMeta, type RestoreEntry } from '@foodsave-backup/component';
import { BackupError, bytesOf, printable, throwIfCancelled } from '@foodsave-backup/kernel';

/** How temporary files of a restore begin, so that a later run recognises them, and no component of files takes them for its own. */
export const STAGING_PREFIX = `${STAGE_PREFIX}db-`;
export const SIDECARS = ['-wal', '-shm', '-journal'] as const;
/** A database needs no setuid, setgid or sticky bit, whatever a backup says. */
const MODE_MASK = 0o777;

export function stagingPath(besides: string): string {
  return join(dirname(besides), `${STAGING_PREFIX}${randomBytes(8).toString('hex')}`);
}

/**
 * Writes an entry's content to a new file (0600), durable when it resolves unless `sync` is false. Throws DATA_DAMAGED when it is not what the
 * backup says it is, NO_SPACE before the first byte when it cannot fit; nothing is left then.
 */
export async function stageContent(
  entry: RestoreEntry,
  path: string,
  { signal, sync = true }: { signal: AbortSignal; sync?: boolean },
): Promise<void> {
  await assertSpace(dirname(path), entry.size);
  try {
    const hash = createHash('sha256');
    let bytes = 0;
    const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      for await (const piece of bytesOf(entry.content?.({ holes: true, reuse: true }) ?? nothing())) {
        throwIfCancelled(signal);
        bytes += piece.length;
        // Hashed here while another thread writes.
        const written = writeAll(file, piece);
        hash.update(piece);
        await written;
      }
      if (sync) await file.sync();
    } finally {
      await file.close();
    }
    const expected = entry.sha256;
    if (bytes !== entry.size || (expected !== undefined && !hash.digest().equals(expected))) {
      throw new BackupError('DATA_DAMAGED', `The content of ${printable(entry.path)} is not what the backup recorded`, {
        hint: 'Run verify on this backup, and restore from another one or from a copy.',
      });
    }
  } catch (error) {
    await removeDatabase(path);
    throw error;
  }
}

/** `appendFile` would go to another thread twice for each MiB. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += (await file.write(bytes, done)).bytesWritten;
}

async function* nothing(): AsyncGenerator<never> {
  // An entry without content.
}

async function assertSpace(directory: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory, { bigint: true });
  const free = bavail * bsize;
  if (free >= BigInt(bytes)) return;
  throw new BackupError('NO_SPACE', `The restored database needs ${String(bytes)} bytes, ${String(free)} are free`, {
    hint: 'Free some space beside the database, or restore into a directory on another disk.',
    details: { needed: bytes, directory },
  });
}

/** Where the database that is replaced stays until the whole restore has finished. */
export function asidePath(staged: string): string {
  return `${staged}-old`;
}

/** Gives a file the owner, mode and time of the backup. Resolves to false where only the owner could not be set. */
export async function applyMeta(path: string, meta: EntryMeta): Promise<boolean> {
  let owned = true;
  try {
    await chown(path, meta.uid, meta.gid);
  } catch {
    owned = false;
  }
  await chmod(path, meta.mode & MODE_MASK);
  await setTimes(path, meta.mtimeNs);
  return owned;
}

/** Removes a file of this restore and what SQLite left beside it. */
export async function removeDatabase(path: string): Promise<void> {
  for (const suffix of ['', ...SIDECARS]) await rm(path + suffix, { force: true });
}
