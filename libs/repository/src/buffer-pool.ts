const MIB = 1024 * 1024;
/** Bytes; smaller ones are not worth keeping. */
const LEAST = MIB / 4;
/** From here on sizes grow by this: packs are closed at 16 MiB and whatever their last blob adds. */
const STEP = 4 * MIB;
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
    for (let fits = size; fits <= Math.max(size, STEP); fits *= 2) {
      const free = this.#free.get(fits)?.pop();
      if (free === undefined) continue;
      if (fits <= STEP) this.#kept -= fits;
      return free.subarray(0, length);
    }
    return Buffer.allocUnsafeSlow(size).subarray(0, length);
  }

  /** Takes back a buffer that `take` gave and nobody looks at any more. */
  give(buffer: Buffer): void {
    const size = buffer.buffer.byteLength;
    const free = this.#free.get(size) ?? [];
    const large = size > STEP;
    if (large ? free.length >= LARGE_KEPT : this.#kept + size > KEPT) return;
    this.#free.set(size, free);
    free.push(Buffer.from(buffer.buffer));
    if (!large) this.#kept += size;
  }
}

function sizeFor(length: number): number {
  if (length > STEP) return Math.ceil(length / STEP) * STEP;
  let size = LEAST;
  while (size < length) size *= 2;
  return size;
}
