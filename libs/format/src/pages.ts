import { hash } from 'node:crypto';
import type { RepositoryKeys } from './keys.ts';

export const PAGE_HASH_BYTES = 16;
/** Pages covered by one leaf of a paged file's extent tree: fixed, so that unchanged leaves keep their ids. */
export const PAGES_PER_LEAF = 16_384;

/**
 * Hashes of pages (FORMAT.md section 5, kind 3): the first 16 bytes of SHA-256(page hash key ‖ page). The key stands
 * before each page in a buffer of its own, so that one native call hashes both.
 */
export class PageHasher {
  readonly #staging: Buffer;
  readonly #pageSize: number;

  constructor(keys: RepositoryKeys, pageSize: number) {
    this.#pageSize = pageSize;
    this.#staging = Buffer.allocUnsafe(32 + pageSize);
    keys.pageHashKey.copy(this.#staging, 0);
  }

  /** Writes the hash of the page at `offset` of `pages` to `out` at `outOffset`. */
  hashInto(pages: Uint8Array, offset: number, out: Buffer, outOffset: number): void {
    this.#staging.set(pages.subarray(offset, offset + this.#pageSize), 32);
    hash('sha256', this.#staging, 'buffer').copy(out, outOffset, 0, PAGE_HASH_BYTES);
  }
}
