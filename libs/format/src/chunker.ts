import { createHmac, createSecretKey } from 'node:crypto';

export interface ChunkerSizes {
  /** Bytes. */
  min: number;
  /** Bytes, a power of two. */
  average: number;
  /** Bytes. */
  max: number;
}

/**
 * What is appended to a file costs its last chunk: smaller ones store less each night, and make more entries of an index. Those of
 * `npm run bench` ("nightly backup, bytes added") are of these sizes.
 */
export const DEFAULT_CHUNKS: ChunkerSizes = { min: 128 * 1024, average: 512 * 1024, max: 2 * 1024 * 1024 };

/**
 * Content-defined chunking after FastCDC (Xia et al., USENIX ATC 2016): a gear hash, cut points skipped below the minimum,
 * and normalised chunking with a harder mask before the average size and an easier one after it. The gear table comes
 * from a key, so that chunk borders of an encrypted repository say nothing about known files.
 */
export class Chunker {
  readonly #gear: Int32Array;
  readonly #sizes: ChunkerSizes;
  readonly #hard: number;
  readonly #easy: number;

  constructor(key: Uint8Array, sizes: ChunkerSizes = DEFAULT_CHUNKS) {
    this.#sizes = sizes;
    this.#gear = new Int32Array(256);
    const secret = createSecretKey(key);
    for (let i = 0; i < 256; i++) {
      this.#gear[i] = createHmac('sha256', secret)
        .update(Buffer.from([i]))
        .digest()
        .readInt32LE(0);
    }
    const bits = Math.round(Math.log2(sizes.average));
    // The gear hash shifts left: its upper bits have seen the most bytes, so the masks are taken from there.
    this.#hard = highBits(bits + 1);
    this.#easy = highBits(bits - 1);
  }

  get maxBytes(): number {
    return this.#sizes.max;
  }

  /**
   * Length of the first chunk of `data`. When `data` is shorter than the maximum and `last` is false, more bytes may be
   * needed: then 0.
   */
  cut(data: Uint8Array, last: boolean): number {
    const { min, average, max } = this.#sizes;
    if (data.length < max && !last) return 0;
    const end = Math.min(data.length, max);
    if (end <= min) return end;
    const gear = this.#gear;
    const middle = Math.min(end, average);
    let hash = 0;
    let i = min;
    for (const mask = this.#hard; i < middle; i++) {
      hash = ((hash << 1) + (gear[data[i] as number] as number)) | 0;
      if ((hash & mask) === 0) return i + 1;
    }
    for (const mask = this.#easy; i < end; i++) {
      hash = ((hash << 1) + (gear[data[i] as number] as number)) | 0;
      if ((hash & mask) === 0) return i + 1;
    }
    return end;
  }
}

function highBits(count: number): number {
  return count >= 32 ? -1 : (-1 << (32 - count)) | 0;
}
