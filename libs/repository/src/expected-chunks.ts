import { BLOB_KIND, blobId, sha256, type RepositoryKeys } from '@foodsave-backup/format';
import type { ExtentLeaf } from './extent-reader.ts';

interface Chunk {
  id: Buffer;
  /** Bytes. */
  length: number;
  /** Where it lay in the file. */
  offset: number;
}

/** Bytes before and behind the place in the old file, where what comes after a change is looked for. */
const REACH = 64 * 1024 * 1024;
/** After so many chunks that are not there, only one in `SELDOM` is looked for: whoever looks has to wait for its id. */
const OFTEN = 8;
const SELDOM = 16;

/**
 * The chunks that a large file had in the newest backup. Where they are still there, one behind the other, they need not be looked for:
 * a cut depends on nothing but the bytes from the cut before it, so that a chunk with the same bytes ends where it ended. It
 * costs a hash, which has to be made anyway, and spares the search, which looks at each byte by itself.
 */
export class ExpectedChunks {
  readonly #keys: RepositoryKeys;
  #leaves: AsyncIterator<ExtentLeaf> | undefined;
  /** In the order of the file; those before `#at` have been passed. */
  #chunks: Chunk[] = [];
  #at = 0;
  #end = 0;
  #missed = 0;
  /** Whether the next chunk is known to follow the last one. */
  #inStep = true;

  constructor(keys: RepositoryKeys, leaves: AsyncIterable<ExtentLeaf>) {
    this.#keys = keys;
    this.#leaves = leaves[Symbol.asyncIterator]();
  }

  /** The chunk that `data` begins with, when it is the expected one. `last`: the stream ends with `data`. */
  async next(data: Uint8Array, last: boolean): Promise<{ id: Buffer; length: number } | undefined> {
    if (!this.#inStep) return undefined;
    await this.#load(() => this.#chunks.length - this.#at < 2);
    const chunk = this.#chunks[this.#at];
    const isSame =
      chunk !== undefined &&
      chunk.length <= data.length &&
      // The last one ended where the file did, and not for its content.
      (this.#at + 1 < this.#chunks.length || (last && chunk.length === data.length)) &&
      this.#idOf(data.subarray(0, chunk.length)).equals(chunk.id);
    if (!isSame) {
      this.#inStep = false;
      this.#missed = 0;
      return undefined;
    }
    this.#at++;
    return chunk;
  }

  /** Whether it is worth waiting for the id of a chunk that was cut instead. */
  isWorthLooking(): boolean {
    if (this.#inStep || (this.#leaves === undefined && this.#at >= this.#chunks.length)) return false;
    this.#missed++;
    return this.#missed <= OFTEN || this.#missed % SELDOM === 0;
  }

  /** `offset`: where the chunk ends in the stream. */
  async found(id: Buffer, offset: number): Promise<void> {
    await this.#load(() => this.#end < offset + REACH);
    while ((this.#chunks[this.#at]?.offset ?? Infinity) < offset - REACH) this.#at++;
    const at = this.#chunks.findIndex((chunk, i) => i >= this.#at && chunk.id.equals(id));
    if (at < 0) return;
    this.#at = at + 1;
    this.#inStep = true;
  }

  /** What cannot be read of the newest backup is not expected. */
  async #load(wanted: () => boolean): Promise<void> {
    while (this.#leaves !== undefined && wanted()) {
      const next = await this.#leaves.next().catch(() => undefined);
      if (next === undefined || next.done === true || !this.#add(next.value)) this.#leaves = undefined;
    }
  }

  /** False for a file with holes, whose chunks are not its extents, and for one kept by page. */
  #add({ list }: ExtentLeaf): boolean {
    this.#chunks.splice(0, this.#at);
    this.#at = 0;
    for (const { blob, offset, length } of list.extents) {
      if (blob === undefined || offset !== 0 || list.unit !== 1) return false;
      this.#chunks.push({ id: blob, length, offset: this.#end });
      this.#end += length;
    }
    return true;
  }

  #idOf(data: Uint8Array): Buffer {
    return blobId(this.#keys, BLOB_KIND.data, [{ length: data.length, hash: sha256(data) }]);
  }
}
