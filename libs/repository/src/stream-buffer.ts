import { appendExtent, type Extent } from '@foodsave-backup/format';

/** The bytes of a stream between the last cut and the last piece. */
export class StreamBuffer {
  readonly #max: number;
  #bytes: Buffer = Buffer.allocUnsafe(0);
  #start = 0;
  #end = 0;

  /** `max`: bytes of the largest chunk. */
  constructor(max: number) {
    this.#max = max;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  /** Valid until the next `append`. */
  view(): Buffer {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  append(piece: Uint8Array): void {
    if (this.#end + piece.length > this.#bytes.length) {
      const needed = this.length + piece.length;
      // Twice the largest chunk: a cut is looked for in `max` bytes while the next piece is read behind them.
      const fits = needed <= this.#bytes.length;
      const room = fits
        ? this.#bytes
        : Buffer.allocUnsafe(Math.max(needed, Math.min(2 * this.#max, this.#bytes.length * 2)));
      this.#bytes.copy(room, 0, this.#start, this.#end);
      this.#bytes = room;
      this.#end -= this.#start;
      this.#start = 0;
    }
    this.#bytes.set(piece, this.#end);
    this.#end += piece.length;
  }

  /** Forgets what it holds; keeps its room for the next stream. */
  clear(): void {
    this.#start = this.#end = 0;
  }

  drop(length: number): void {
    this.#start += length;
  }
}

/**
 * Where the bytes of a stream lie once they are chunks. Chunks are cut from the data alone, as if there were no holes, so that a
 * file with a thousand short runs of data between holes does not become a thousand blobs.
 */
export class Placement {
  readonly #extents: Extent[] = [];
  /** Runs that no chunk has covered yet. */
  readonly #ahead: { hole: boolean; length: number }[] = [];
  holeBytes = 0;

  data(length: number): void {
    this.#add(false, length);
  }

  hole(length: number): void {
    this.#add(true, length);
    this.holeBytes += length;
  }

  #add(hole: boolean, length: number): void {
    const last = this.#ahead.at(-1);
    if (last?.hole === hole) last.length += length;
    else if (length > 0) this.#ahead.push({ hole, length });
  }

  /** The next `length` bytes of data are those of a blob. */
  chunk(blob: Buffer, length: number): void {
    for (let offset = 0; offset < length;) {
      this.#holes();
      const run = this.#ahead[0];
      if (run === undefined) throw new RangeError('a chunk is longer than the data that was announced');
      const part = Math.min(run.length, length - offset);
      appendExtent(this.#extents, { blob, offset, length: part });
      offset += part;
      run.length -= part;
      if (run.length === 0) this.#ahead.shift();
    }
  }

  #holes(): void {
    while (this.#ahead[0]?.hole === true) {
      const { length } = this.#ahead[0];
      appendExtent(this.#extents, { blob: undefined, offset: 0, length });
      this.#ahead.shift();
    }
  }

  finish(): Extent[] {
    this.#holes();
    return this.#extents;
  }
}
