const MIB = 1024 * 1024;
/** Bytes; smaller ones are not worth keeping. */
const LEAST = MIB / 4;
/** From here on sizes grow by this: packs are closed at 16 MiB and whatever their last blob adds. */
const STEP = 4 * MIB;
/** What a frame takes when it is encrypted, and more: a frame of 1 MiB fits into a buffer of that size, sealed too. */
const SLACK = 4096;
/** Bytes that wait for a next use, of all sizes together. */
const KEPT = 40 * MIB;

/**
 * Buffers that are used again. What is freed outside the heap of V8 is given back late, and fresh memory costs a page fault for
 * each 4 KiB: with a buffer of its own for each chunk, a backup takes twice the memory.
 */
export class BufferPool {
  /** The one that was given back last is the last one. */
  readonly #free: Buffer[] = [];
  #kept = 0;

  /** `length` bytes that hold anything. */
  take(length: number): Buffer {
    const size = sizeFor(length);
    const at = this.#free.findLastIndex((buffer) => buffer.length === size);
    const [free] = at < 0 ? [] : this.#free.splice(at, 1);
    if (free !== undefined) this.#kept -= size;
    return (free ?? Buffer.allocUnsafeSlow(size)).subarray(0, length);
  }

  /** Takes back a buffer that `take` gave and nobody looks at any more. Sizes that nobody takes leave first. */
  give(buffer: Buffer): void {
    const size = buffer.buffer.byteLength;
    if (size > KEPT) return;
    this.#free.push(Buffer.from(buffer.buffer));
    this.#kept += size;
    while (this.#kept > KEPT) this.#kept -= this.#free.shift()?.length ?? 0;
  }
}

function sizeFor(length: number): number {
  if (length > STEP + SLACK) return Math.ceil(length / STEP) * STEP;
  let size = LEAST;
  while (size + SLACK < length) size *= 2;
  return size + SLACK;
}
