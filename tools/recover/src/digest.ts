import { createHash, type Hash } from 'node:crypto';
import { sha256 } from './sealed.ts';

/** What an entry says of its content: the SHA-256 of it, or that of the SHA-256s of its blocks of 1 MiB. */
export interface Digest {
  readonly kind: 'whole' | 'blocks';
  readonly sha256: Buffer;
}

const BLOCK = 1024 * 1024;
const ZEROS = Buffer.alloc(BLOCK);

/** Follows a content, bytes and zeros, and compares it with what an entry says. */
export class Comparison {
  private readonly wanted: Digest;
  private readonly outer = createHash('sha256');
  /** Of the block that is not full yet; of all of the content when there are no blocks. */
  private inner: Hash = createHash('sha256');
  private open = 0;
  private zeroHash: Buffer | undefined;

  constructor(wanted: Digest) {
    this.wanted = wanted;
  }

  bytes(bytes: Buffer): void {
    if (this.wanted.kind === 'whole') {
      this.inner.update(bytes);
      return;
    }
    let rest = bytes;
    while (rest.length > 0) {
      const part = rest.subarray(0, BLOCK - this.open);
      this.inner.update(part);
      this.open += part.length;
      if (this.open === BLOCK) this.endBlock();
      rest = rest.subarray(part.length);
    }
  }

  zeros(length: number): void {
    let left = length;
    while (left > 0) {
      if (this.wanted.kind === 'blocks' && this.open === 0 && left >= BLOCK) {
        // Whole blocks of zeros all have one hash: that is what the blocks are for.
        this.zeroHash ??= sha256(ZEROS);
        this.outer.update(this.zeroHash);
        left -= BLOCK;
        continue;
      }
      const part = Math.min(left, BLOCK - this.open);
      this.bytes(ZEROS.subarray(0, part));
      left -= part;
    }
  }

  /** To be asked once, at the end. */
  isWhole(): boolean {
    if (this.wanted.kind === 'whole') return this.inner.digest().equals(this.wanted.sha256);
    if (this.open > 0) this.endBlock();
    return this.outer.digest().equals(this.wanted.sha256);
  }

  private endBlock(): void {
    this.outer.update(this.inner.digest());
    this.inner = createHash('sha256');
    this.open = 0;
  }
}
