import { createHash, type Hash } from 'node:crypto';

/** A run of zeros that nobody has to read, write or store. */
export interface Hole {
  /** Bytes, at least 1. */
  hole: number;
}

/** A part of a content that comes in order. */
export type Piece = Uint8Array | Hole;

export function isHole(piece: Piece): piece is Hole {
  return 'hole' in piece;
}

/** The same content for who knows nothing of holes: pieces of at most 1 MiB, which are only to be read. */
export async function* bytesOf(pieces: AsyncIterable<Piece>): AsyncGenerator<Uint8Array> {
  let zeros: Uint8Array | undefined;
  for await (const piece of pieces) {
    if (!isHole(piece)) {
      yield piece;
      continue;
    }
    zeros ??= new Uint8Array(HASH_BLOCK_BYTES);
    for (let left = piece.hole; left > 0; left -= HASH_BLOCK_BYTES) yield zeros.subarray(0, left);
  }
}

/** Bytes of content that each inner hash of a `BlockHash` covers. */
export const HASH_BLOCK_BYTES = 1024 * 1024;

/** Hashes a content that comes as bytes and as runs of zeros. */
export interface ContentHash {
  update(bytes: Uint8Array): void;
  zeros(length: number): void;
  /** 32 bytes; the hash must not be used afterwards. */
  digest(): Buffer;
}

/** What a file says of its content: one of the two, 32 bytes. */
export interface ContentDigest {
  sha256?: Uint8Array;
  blockSha256?: Uint8Array;
}

/** A fresh hash of the kind that `digest` is. */
export function hashLike(digest: ContentDigest): ContentHash {
  return digest.blockSha256 === undefined ? new WholeHash() : new BlockHash();
}

/** Whether `hash`, made by `hashLike(digest)`, ends as `digest` says. */
export function matches(hash: ContentHash, digest: ContentDigest): boolean {
  const expected = digest.blockSha256 ?? digest.sha256;
  return expected !== undefined && hash.digest().equals(expected);
}

/** SHA-256 of the content. Zeros cost as much as any other bytes: `npm run bench` ends with how many it takes a second. */
export class WholeHash implements ContentHash {
  readonly #hash = createHash('sha256');

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  zeros(length: number): void {
    const block = Buffer.alloc(Math.min(length, HASH_BLOCK_BYTES));
    for (let left = length; left > 0; left -= block.length)
      this.#hash.update(left < block.length ? block.subarray(0, left) : block);
  }

  digest(): Buffer {
    return this.#hash.digest();
  }
}

/**
 * SHA-256 of the SHA-256 of each MiB of the content, one after the other (the last may be shorter). A MiB of zeros is then a
 * constant of 32 bytes, so that a hole of 100 GB costs what 3 MB of bytes do. It depends on the content only, not on where a
 * file system keeps holes.
 */
export class BlockHash implements ContentHash {
  readonly #outer = createHash('sha256');
  readonly #zeroBlock = createHash('sha256').update(Buffer.alloc(HASH_BLOCK_BYTES)).digest();
  #block: Hash | undefined;
  /** Bytes in the block that is open. */
  #filled = 0;

  update(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(bytes.length, at + HASH_BLOCK_BYTES - this.#filled);
      (this.#block ??= createHash('sha256')).update(bytes.subarray(at, end));
      this.#filled += end - at;
      at = end;
      if (this.#filled === HASH_BLOCK_BYTES) this.#close();
    }
  }

  zeros(length: number): void {
    const first = this.#filled === 0 ? 0 : Math.min(length, HASH_BLOCK_BYTES - this.#filled);
    if (first > 0) this.update(Buffer.alloc(first));
    const whole = Math.floor((length - first) / HASH_BLOCK_BYTES);
    this.#zeroBlocks(whole);
    const rest = length - first - whole * HASH_BLOCK_BYTES;
    if (rest > 0) this.update(Buffer.alloc(rest));
  }

  #zeroBlocks(count: number): void {
    const some = Buffer.alloc(Math.min(count, 32_768) * 32);
    for (let at = 0; at < some.length; at += 32) some.set(this.#zeroBlock, at);
    for (let left = count * 32; left > 0; left -= some.length)
      this.#outer.update(left < some.length ? some.subarray(0, left) : some);
  }

  digest(): Buffer {
    if (this.#filled > 0) this.#close();
    return this.#outer.digest();
  }

  #close(): void {
    if (this.#block !== undefined) this.#outer.update(this.#block.digest());
    this.#block = undefined;
    this.#filled = 0;
  }
}
