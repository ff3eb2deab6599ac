import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { BackupError, DIRECT_UNIT, isAligned, refusesDirect, throwIfCancelled } from '@foodsave-backup/kernel';
import { SyncFailure } from './system-errors.ts';

/** The flag of open(2), 0 where the system has none. */
const O_DIRECT = (constants as { O_DIRECT?: number }).O_DIRECT ?? 0;
const FILE_MODE = 0o600;
/** Smaller ones are written through the page cache: a direct write waits for the disk. Bytes. */
const DIRECT_LEAST = 1024 * 1024;

/**
 * Makes the new file `path` with these bytes, mode 0600, and syncs it. What is large and lies at a page of memory goes past the page
 * cache where the file system can: nobody reads a pack soon, the cache belongs to the application, and copying into it costs
 * many times the processor: `npm run bench` ends with both.
 */
export async function writeSynced(path: string, body: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
  const made = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  const directly = O_DIRECT !== 0 && body.length >= DIRECT_LEAST && isAligned(body);
  if (!directly) return through(await open(path, made, FILE_MODE), path, body, 0, signal);
  let written = 0;
  let direct: FileHandle | undefined;
  try {
    direct = await open(path, made | O_DIRECT, FILE_MODE);
    written = await writeDirectly(direct, body);
  } catch (error) {
    if (!refusesDirect(error)) throw error;
  } finally {
    await direct?.close();
  }
  // The rest, which is less than a page or all of it. It may be there already: an open that fails for its flags may have made it.
  await through(
    await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW, FILE_MODE),
    path,
    body,
    written,
    signal,
  );
}

/** Resolves to the bytes that are written, a multiple of the unit: all whole units, or fewer when the file system gave up between. */
async function writeDirectly(handle: FileHandle, body: Uint8Array): Promise<number> {
  const whole = body.length - (body.length % DIRECT_UNIT);
  let done = 0;
  while (done < whole) {
    const { bytesWritten } = await handle.write(body, done, whole - done, done);
    done += bytesWritten;
    if (bytesWritten === 0 || done % DIRECT_UNIT !== 0) break;
  }
  return done - (done % DIRECT_UNIT);
}

/** Writes what is left of `body` from `done` on, syncs all of the file and closes it. */
async function through(
  handle: FileHandle,
  path: string,
  body: Uint8Array,
  done: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    while (done < body.length) {
      const { bytesWritten } = await handle.write(body, done, body.length - done, done);
      if (bytesWritten === 0)
        throw new BackupError('IO_ERROR', `${path} takes no more bytes`, { hint: 'Check the device.' });
      done += bytesWritten;
    }
    throwIfCancelled(signal);
    await handle.sync().catch((error: unknown) => {
      throw new SyncFailure(`fsync failed: ${(error as Error).message}`, { cause: error });
    });
  } finally {
    await handle.close();
  }
}
