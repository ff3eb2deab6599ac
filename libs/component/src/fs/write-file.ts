import { constants } from 'node:fs';
import { lstat, open, readlink, symlink, unlink, type FileHandle } from 'node:fs/promises';
import {
  BackupError,
  hashLike,
  isHole,
  matches,
  printable,
  systemErrorCode,
  throwIfCancelled,
  toBackupError,
  type ContentDigest,
  type ContentHash,
  type Piece,
} from '@foodsave-backup/kernel';
import { decodeName, encodeName, fsPath } from '../names.ts';
import type { RestoreEntry } from '../port.ts';
import type { Metadata } from './metadata.ts';
import { mayHaveHoles, readPieces } from './holes.ts';
import { loadNative } from './native-load.ts';

/** Runs of zeros this long become holes too, also of files whose backup knows of none. */
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
  const hash = hashLike(entry);
  const zeros = Buffer.alloc(HOLE_BYTES);
  let position = 0;
  for await (const piece of entry.content({ holes: true })) {
    throwIfCancelled(signal);
    if (isHole(piece)) {
      hash.zeros(piece.hole);
      position += piece.hole;
      continue;
    }
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
  const hashed = entry.sha256 !== undefined || entry.blockSha256 !== undefined;
  if (hashed && !matches(hash, entry)) throw damaged(entry.path, 'its SHA-256 does not match');
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

/** Makes a FIFO with its metadata; false where that is not possible, which `metadata` notes. */
export async function makeFifoAt(path: string, entry: RestoreEntry, metadata: Metadata): Promise<boolean> {
  if (!metadata.native) {
    metadata.noFifo();
    return false;
  }
  metadata.native.makeFifo(fsPath(path), 0o600);
  await metadata.applyToPath(path, 'fifo', entry.meta);
  return true;
}

/** Whether `path` already is a regular file with this content, this link, or a FIFO. Links in place of files are not followed. */
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
  if (entry.kind === 'fifo') return stats.isFIFO();
  if (entry.kind !== 'file' || !stats.isFile() || stats.size !== entry.size) return false;
  return matches(await hashContent(path, entry, signal), entry);
}

/** SHA-256 of a regular file, 32 bytes; never follows a link. */
export async function hashFile(path: string, signal: AbortSignal): Promise<Buffer> {
  return (await hashContent(path, {}, signal)).digest();
}

/** The content of a file in a hash of the kind that `like` has. */
async function hashContent(path: string, like: ContentDigest, signal: AbortSignal): Promise<ContentHash> {
  const handle = await open(fsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = await handle.stat({ bigint: true });
    const native = mayHaveHoles(stats) ? await loadNative() : undefined;
    return await hashPieces(readPieces(handle, Number(stats.size), { signal, native }), hashLike(like));
  } finally {
    await handle.close();
  }
}

async function hashPieces(pieces: AsyncIterable<Piece>, hash: ContentHash): Promise<ContentHash> {
  for await (const piece of pieces) {
    if (isHole(piece)) hash.zeros(piece.hole);
    else hash.update(piece);
  }
  return hash;
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
