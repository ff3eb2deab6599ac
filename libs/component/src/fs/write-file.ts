import { createHash, timingSafeEqual } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, readlink, symlink, unlink, type FileHandle } from 'node:fs/promises';
import { BackupError, printable, systemErrorCode, throwIfCancelled, toBackupError } from '@foodsave-backup/kernel';
import { decodeName, encodeName, fsPath } from '../names.ts';
import type { RestoreEntry } from '../port.ts';
import type { Metadata } from './metadata.ts';
import { PIECE_BYTES } from './read.ts';

/** Runs of zeros this long become holes, so that a sparse file stays sparse. */
const HOLE_BYTES = 64 * 1024;

export interface WriteOptions {
  signal: AbortSignal;
  metadata: Metadata;
  /** fsync before closing. */
  durable: boolean;
}

/**
 * Creates a new file with the content and metadata of `entry` at `path` (whose parent is trusted) and returns its bytes.
 * Size and SHA-256 are compared while writing: DATA_DAMAGED. EEXIST is passed on; nothing is left behind on a failure.
 */
export async function writeFileAt(path: string, entry: RestoreEntry, options: WriteOptions): Promise<number> {
  const target = fsPath(path);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const handle = await open(target, flags, 0o600);
  try {
    const bytes = await copyInto(handle, entry, options.signal);
    await options.metadata.applyToHandle(handle, 'file', entry.meta);
    if (options.durable) await handle.sync();
    return bytes;
  } catch (error) {
    await unlink(target).catch(() => undefined);
    throw error;
  } finally {
    await handle.close();
  }
}

async function copyInto(handle: FileHandle, entry: RestoreEntry, signal: AbortSignal): Promise<number> {
  if (!entry.content) throw damaged(entry.path, 'its content is missing');
  const hash = createHash('sha256');
  const zeros = Buffer.alloc(HOLE_BYTES);
  let position = 0;
  for await (const piece of entry.content()) {
    throwIfCancelled(signal);
    hash.update(piece);
    for (let at = 0; at < piece.length;) {
      const end = dataEnd(piece, at, zeros);
      if (end === at) {
        at += HOLE_BYTES;
        continue;
      }
      await writeAll(handle, piece.subarray(at, end), position + at);
      at = end;
    }
    position += piece.length;
  }
  await handle.truncate(position);
  if (position !== entry.size) throw damaged(entry.path, `it has ${position} bytes instead of ${entry.size}`);
  if (entry.sha256 && !sameHash(hash.digest(), entry.sha256)) throw damaged(entry.path, 'its SHA-256 does not match');
  return position;
}

/** Where the data that starts at `at` ends: at the next whole run of zeros, or at the end of the piece. */
function dataEnd(piece: Uint8Array, at: number, zeros: Buffer): number {
  let end = at;
  while (end + HOLE_BYTES <= piece.length && zeros.compare(piece, end, end + HOLE_BYTES) !== 0) end += HOLE_BYTES;
  return end + HOLE_BYTES <= piece.length ? end : piece.length;
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** Creates a link with its metadata. What it points to is never looked at. */
export async function writeLinkAt(path: string, entry: RestoreEntry, metadata: Metadata): Promise<void> {
  const { linkTarget } = entry;
  if (!linkTarget || linkTarget.includes('\0')) throw damaged(entry.path, 'the link points nowhere');
  await symlink(encodeName(linkTarget), fsPath(path));
  await metadata.applyToPath(path, 'symlink', entry.meta);
}

/** Whether `path` already is a regular file with this content, or this link. Links in place of files are not followed. */
export async function alreadyThere(
  path: string,
  entry: Omit<RestoreEntry, 'content'>,
  signal: AbortSignal,
): Promise<boolean> {
  const stats = await lstat(fsPath(path)).catch(() => undefined);
  if (!stats) return false;
  if (entry.kind === 'symlink') {
    return (
      stats.isSymbolicLink() && decodeName(await readlink(fsPath(path), { encoding: 'buffer' })) === entry.linkTarget
    );
  }
  if (entry.kind !== 'file' || !stats.isFile() || stats.size !== entry.size || !entry.sha256) return false;
  return sameHash(await hashFile(path, signal), entry.sha256);
}

/** SHA-256 of a regular file, 32 bytes; never follows a link. */
export async function hashFile(path: string, signal: AbortSignal): Promise<Buffer> {
  const handle = await open(fsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
    for (let position = 0; ;) {
      throwIfCancelled(signal);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
      if (bytesRead === 0) return hash.digest();
      hash.update(buffer.subarray(0, bytesRead));
      position += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

function sameHash(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function damaged(path: string, reason: string): BackupError {
  return new BackupError('DATA_DAMAGED', `"${printable(path)}" cannot be restored: ${reason}`, {
    hint: 'Run verify on this backup. An intact copy of the repository can restore it.',
  });
}

/** Any failure while restoring one entry, with its path. BackupErrors keep their code. */
export function restoreFailed(path: string, error: unknown): BackupError {
  if (error instanceof BackupError) return error;
  const known = toBackupError(error, 'RESTORE_FAILED');
  if (known.code === 'NO_SPACE' || known.code === 'CANCELLED') return known;
  const reason = systemErrorCode(error) ?? (error instanceof Error ? error.message : String(error));
  return new BackupError('RESTORE_FAILED', `"${printable(path)}" cannot be restored (${printable(reason)})`, {
    hint: 'Check the permissions, the space and the health of the target, then restore again.',
    cause: error,
  });
}
