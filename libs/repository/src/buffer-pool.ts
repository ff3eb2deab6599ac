import { alignedBuffer } from '@foodsave-backup/kernel';

const MIB = 1024 * 1024;
/** Bytes; smaller ones are not worth keeping. */
const LEAST = MIB / 64;
/** From here on sizes grow by this: packs are closed at 8 MiB and whatever their last blob adds. */
const STEP = 4 * MIB;
/** What a frame takes when it is encrypted, and more: a frame of 1 MiB fits into a buffer of that size, sealed too. */
const SLACK = 4096;
/** A smaller length does not take what a frame of 1 MiB could: nothing larger than this. */
const SMALL = MIB / 4;
/** Bytes that wait for a next use, of all sizes up to `STEP` together. */
const KEPT = 32 * MIB;
/** Larger ones, which are packs, that wait for a next use. */
const LARGE_KEPT = 2;

/**
 * Buffers that are used again. What is freed outside the heap of V8 is given back late, and fresh memory costs a page fault for
 * each 4 KiB: with a buffer of its own for each chunk, a backup takes twice the memory.
 */
export class BufferPool {
  /** By size. */
  readonly #free = new Map<number, Buffer[]>();
  #kept = 0;

  /** `length` bytes that hold anything. */
  take(length: number): Buffer {
    const size = sizeFor(length);
    // What an earlier phase has left is resident already, also where it is larger than need be.
    const most = size < SMALL ? SMALL : STEP;
    for (let fits = size; ; fits = (fits - SLACK) * 2 + SLACK) {
      const free = this.#free.get(fits)?.pop();
      if (free !== undefined) {
        if (!isLarge(fits)) this.#kept -= fits;
        return free.subarray(0, length);
      }
      // A pack is written past the page cache.
      if (isLarge(fits)) return alignedBuffer(size).subarray(0, length);
      if (fits >= most) return Buffer.allocUnsafeSlow(size).subarray(0, length);
    }
  }

  /** Takes back a buffer that `take` gave and nobody looks at any more. */
  give(buffer: Buffer): void {
    const size = buffer.buffer.byteLength;
    const free = this.#free.get(size) ?? [];
    if (isLarge(size) ? free.length >= LARGE_KEPT : this.#kept + size > KEPT) return;
    this.#free.set(size, free);
    free.push(Buffer.from(buffer.buffer));
    if (!isLarge(size)) this.#kept += size;
  }
}

function isLarge(size: number): boolean {
  return size > STEP + SLACK;
}

function sizeFor(length: number): number {
  if (isLarge(length)) return Math.ceil(length / STEP) * STEP;
  let size = LEAST;
  while (size + SLACK < length) size *= 2;
  return size + SLACK;
}
