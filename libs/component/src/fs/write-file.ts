import { hash as hashOnce } from 'node:crypto';
import { closeSync, constants, fsync, ftruncateSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { lstat, open, readlink, symlink, unlink, type FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
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
import { LargeWriter } from './large-writer.ts';
import { loadNative } from './native-load.ts';
import { dataRuns } from './zero-runs.ts';

/** Files up to this size are collected, and written in one go. Bytes. */
const SMALL_BYTES = 1024 * 1024;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const syncToDisk = promisify(fsync);
/** What small files are collected in, one for each that is written at once. */
const spare: Buffer[] = [];

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
  // Holes that the backup knows of are kept as they are.
  if (entry.size <= SMALL_BYTES && entry.holeBytes === undefined) return writeSmallAt(path, entry, options);
  const target = fsPath(path);
  const handle = await open(target, NEW_FILE, 0o600);
  try {
    const bytes = await copyInto(handle, entry, options.signal);
    options.metadata.applyToDescriptor(handle.fd, 'file', entry.meta);
    if (options.durable) await handle.sync();
    return bytes;
  } catch (error) {
    await unlink(target).catch(() => undefined);
    throw error;
  } finally {
    await handle.close();
  }
}

/** Compares before anything is created, and then makes the file without going to another thread for each step. */
async function writeSmallAt(path: string, entry: RestoreEntry, options: WriteOptions): Promise<number> {
  const { content, release } = await collect(entry, options.signal);
  try {
    const target = fsPath(path);
    const fd = openSync(target, NEW_FILE, 0o600);
    try {
      writeSmall(fd, content);
      options.metadata.applyToDescriptor(fd, 'file', entry.meta);
      if (options.durable) await syncToDisk(fd);
    } catch (error) {
      try {
        unlinkSync(target);
      } catch {
        // What went wrong before is what matters.
      }
      throw error;
    } finally {
      closeSync(fd);
    }
    return content.length;
  } finally {
    await release();
  }
}

/** A content in memory, which is used again after `release`. */
interface Collected {
  content: Uint8Array;
  release: () => Promise<unknown>;
}

/** The whole content, compared with what the entry says of it. One that comes in one piece is not copied. */
async function collect(entry: RestoreEntry, signal: AbortSignal): Promise<Collected> {
  if (!entry.content) throw damaged(entry.path, 'its content is missing');
  const pieces = entry.content({ holes: true, reuse: true })[Symbol.asyncIterator]();
  try {
    const first = await pieces.next();
    throwIfCancelled(signal);
    if (first.done !== true && !isHole(first.value) && first.value.length === entry.size) {
      assertWhole(entry, first.value);
      // The piece is valid until the next one is asked for.
      return { content: first.value, release: async () => pieces.return?.() };
    }
    const buffer = spare.pop() ?? Buffer.allocUnsafeSlow(SMALL_BYTES);
    try {
      const content = await collectInto(entry, buffer, { first, pieces }, signal);
      assertWhole(entry, content);
      return { content, release: () => Promise.resolve(spare.push(buffer)) };
    } catch (error) {
      spare.push(buffer);
      throw error;
    }
  } catch (error) {
    await pieces.return?.();
    throw error;
  }
}

async function collectInto(
  entry: RestoreEntry,
  into: Buffer,
  { first, pieces }: { first: IteratorResult<Piece>; pieces: AsyncIterator<Piece> },
  signal: AbortSignal,
): Promise<Buffer> {
  let length = 0;
  for (let next = first; next.done !== true; next = await pieces.next()) {
    throwIfCancelled(signal);
    const piece = next.value;
    const bytes = isHole(piece) ? piece.hole : piece.length;
    if (length + bytes > entry.size) throw damaged(entry.path, `it has more than ${entry.size} bytes`);
    if (isHole(piece)) into.fill(0, length, length + bytes);
    else into.set(piece, length);
    length += bytes;
  }
  return into.subarray(0, length);
}

function assertWhole(entry: RestoreEntry, content: Uint8Array): void {
  const { sha256 } = entry;
  if (sha256 === undefined || content.length !== entry.size) {
    const hash = hashLike(entry);
    hash.update(content);
    assertContent(entry, hash, content.length);
  } else if (Buffer.compare(hashOnce('sha256', content, 'buffer'), sha256) !== 0) {
    throw damaged(entry.path, 'its SHA-256 does not match');
  }
}

function writeSmall(fd: number, content: Uint8Array): void {
  let end = 0;
  for (const [from, to] of dataRuns(content)) {
    for (let at = from; at < to;) at += writeSync(fd, content, at, to - at, at);
    end = to;
  }
  if (end < content.length) ftruncateSync(fd, content.length);
}

/** Throws DATA_DAMAGED unless a content of so many bytes with this hash is that of `entry`. */
function assertContent(entry: RestoreEntry, hash: ContentHash, bytes: number): void {
  if (bytes !== entry.size) throw damaged(entry.path, `it has ${bytes} bytes instead of ${entry.size}`);
  const hashed = entry.sha256 !== undefined || entry.blockSha256 !== undefined;
  if (hashed && !matches(hash, entry)) throw damaged(entry.path, 'its SHA-256 does not match');
}

async function copyInto(handle: FileHandle, entry: RestoreEntry, signal: AbortSignal): Promise<number> {
  if (!entry.content) throw damaged(entry.path, 'its content is missing');
  const hash = hashLike(entry);
  let bytes = 0;
  const writer = await LargeWriter.open(handle);
  try {
    for await (const piece of entry.content({ holes: true, reuse: true })) {
      throwIfCancelled(signal);
      await writer.write(piece);
      bytes += addTo(hash, piece);
    }
    await writer.finish();
  } finally {
    await writer.close();
  }
  assertContent(entry, hash, bytes);
  return bytes;
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
  for await (const piece of pieces) addTo(hash, piece);
  return hash;
}

/** Returns the bytes that the piece stands for. */
function addTo(hash: ContentHash, piece: Piece): number {
  if (!isHole(piece)) {
    hash.update(piece);
    return piece.length;
  }
  hash.zeros(piece.hole);
  return piece.hole;
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
