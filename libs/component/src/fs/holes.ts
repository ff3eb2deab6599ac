import type { FileHandle } from 'node:fs/promises';
import type { BigIntStats } from 'node:fs';
import { systemErrorCode, throwIfCancelled, type Piece } from '@foodsave-backup/kernel';
import type { NativeFs } from './native.ts';

/** Largest piece of bytes that is read at once. */
export const PIECE_BYTES = 1024 * 1024;
/** A shorter hole is read as zeros, which compress to nothing, and cost less than to remember where it is. */
const HOLE_BYTES = 64 * 1024;
/** From here on a file is hashed in blocks: to hash a GiB of zeros takes most of a second. */
const SPARSE_BYTES = 1024n * 1024n * 1024n;
/** Of a read that fails with EIO. */
const ATTEMPTS = 3;

/** Bytes of a file that lie in holes, as far as its blocks tell. */
function holeBytes(stats: BigIntStats): bigint {
  const allocated = stats.blocks * 512n;
  return allocated < stats.size ? stats.size - allocated : 0n;
}

export function mayHaveHoles(stats: BigIntStats): boolean {
  return holeBytes(stats) >= BigInt(HOLE_BYTES);
}

/** Whether hashing the holes of a file would cost noticeable time. */
export function isVerySparse(stats: BigIntStats): boolean {
  return holeBytes(stats) > SPARSE_BYTES;
}

export interface ReadOptions {
  signal: AbortSignal;
  /** To look for holes; without it zeros are read. */
  native: NativeFs | undefined;
}

/**
 * The first `size` bytes of an open file in order, fewer when it ends earlier. Its holes are not read. Rejects with the system
 * error; EIO only after some attempts. A piece is valid until the next one is
 * asked for.
 */
export async function* readPieces(handle: FileHandle, size: number, options: ReadOptions): AsyncGenerator<Piece> {
  const { signal, native } = options;
  // Two for all pieces, one of which is filled while the other is looked at: fresh memory for each costs page faults, and
  // collections of what is outside the heap.
  const room = Math.min(PIECE_BYTES, size);
  let [buffer, other] = [Buffer.allocUnsafeSlow(room), Buffer.allocUnsafeSlow(room)];
  let next: Promise<number> | undefined;
  try {
    for (let at = 0; at < size;) {
      throwIfCancelled(signal);
      const data = Math.min(native ? (native.nextData(handle.fd, at) ?? size) : at, size);
      if (data - at >= HOLE_BYTES) {
        yield { hole: data - at };
        at = data;
        continue;
      }
      const end = native && data < size ? Math.min(native.nextHole(handle.fd, data), size) : size;
      while (at < end) {
        throwIfCancelled(signal);
        const bytesRead = await (next ?? readAt(handle, buffer, Math.min(buffer.length, end - at), at));
        next = undefined;
        if (bytesRead === 0) return;
        at += bytesRead;
        const piece = buffer.subarray(0, bytesRead);
        [buffer, other] = [other, buffer];
        if (at < end) {
          next = readAt(handle, buffer, Math.min(buffer.length, end - at), at);
          // Heard when its turn comes.
          next.catch(() => undefined);
        }
        yield piece;
      }
    }
  } finally {
    // Whoever stops early closes the file, and must not do so under a read.
    await next?.catch(() => undefined);
  }
}

/** `read` at a position of the file; a disk that reports EIO is asked again, because some errors pass. */
async function readAt(handle: FileHandle, into: Buffer, length: number, position: number): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    try {
      return (await handle.read(into, 0, length, position)).bytesRead;
    } catch (error) {
      if (attempt === ATTEMPTS || systemErrorCode(error) !== 'EIO') throw error;
    }
  }
}
