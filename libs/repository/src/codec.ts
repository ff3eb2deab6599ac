import { promisify } from 'node:util';
import { constants, zstdCompress, zstdCompressSync } from 'node:zlib';
import { sha256, type Sealing } from '@foodsave-backup/format';

export type { Sealing } from '@foodsave-backup/format';

/** Frames below this are worked on at once: the way to another thread and back takes as long. Bytes. */
export const SMALL_FRAME = 32 * 1024;

/** Hashes and compresses frames beside the thread that reads and walks. */
export interface FrameCodec {
  /** zstd of `data` into `into`, at whose start it then lies: its bytes, or undefined where it does not fit. `level`: default that of the codec. */
  compress(data: Uint8Array, into: Uint8Array, level?: number): Promise<number | undefined>;
  /** The same on this thread, for what is too small to be sent to another. */
  compressNow(data: Uint8Array, into: Uint8Array, level?: number): number | undefined;
  /** 32 bytes. `data` must not change until then. */
  sha256(data: Uint8Array): Promise<Buffer>;
}

export interface Codecs {
  frames: FrameCodec;
  /** The level for what would otherwise wait for the processor; absent where one was asked for by its number. */
  hurriedLevel?: number;
  /** Absent: that of the format, with node:crypto. */
  sealing?: Sealing;
}

export interface CodecOptions {
  /** Of zstd, 1 to 19; absent: `USUAL_LEVEL`, or less in a hurry. How much is done at once is the business of libuv's pool. */
  level?: number;
}

const USUAL_LEVEL = 3;
/** For a few more bytes, a fraction of the time: `npm run bench` ends with both levels. */
const HURRIED_LEVEL = 1;

/** As configured: a number holds always. */
export function levelsOf({ level }: CodecOptions): { level: number; hurriedLevel?: number } {
  return level === undefined ? { level: USUAL_LEVEL, hurriedLevel: HURRIED_LEVEL } : { level };
}

const compressAsync = promisify(zstdCompress);
/** Least bytes that zlib takes. */
const CHUNK_MIN = 64 * 1024;

/** The same through node:zlib and node:crypto, which allocate the result of each call anew. */
export class PortableCodec implements FrameCodec {
  readonly #level: number;

  constructor(level: number) {
    this.#level = level;
  }

  async compress(data: Uint8Array, into: Uint8Array, level = this.#level): Promise<number | undefined> {
    const packed = await compressAsync(data, {
      // By default zlib goes to the thread pool and back for each 16 KiB.
      chunkSize: Math.max(CHUNK_MIN, into.length >> 2),
      params: { [constants.ZSTD_c_compressionLevel]: level },
    });
    return fit(packed, into);
  }

  compressNow(data: Uint8Array, into: Uint8Array, level = this.#level): number | undefined {
    return fit(zstdCompressSync(data, { params: { [constants.ZSTD_c_compressionLevel]: level } }), into);
  }

  sha256(data: Uint8Array): Promise<Buffer> {
    return Promise.resolve(sha256(data));
  }
}

function fit(packed: Uint8Array, into: Uint8Array): number | undefined {
  if (packed.length > into.length) return undefined;
  into.set(packed);
  return packed.length;
}
