import { createHash, hash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { PAGE_HASH_BYTES } from '@foodsave-backup/component';
import type { ChildOperations } from './protocol.ts';

/** Gives the pages of a file that stands still to the parent, and hashes them here, on another processor than its own. */
export class PageServer {
  private files: { source: number; exchange: number } | undefined;
  private whole: Hash | undefined;
  /** What was read last, and before that: pages that differ are asked for when the next ones are hashed already. */
  private readonly held: { offset: number; filled: number; buffer: Buffer }[] = [];
  private staging = Buffer.alloc(0);

  /** `exchange`: a new file (0600) in a private directory. */
  open(source: string, exchange: string): void {
    this.close();
    this.files = { source: openSync(source, 'r'), exchange: openSync(exchange, 'wx', 0o600) };
    this.whole = createHash('sha256');
  }

  /** Copies bytes `[offset, offset + length)` of the file to `at` of the exchange file. */
  copyOut({ offset, length, at }: ChildOperations['pages']['request']): ChildOperations['pages']['response'] {
    const bytes = this.read(offset, length);
    for (let written = 0; written < bytes.length;)
      written += writeSync(this.opened().exchange, bytes, written, bytes.length - written, at + written);
    return { bytes: bytes.length };
  }

  /** See `PagedContent.hashed`. */
  hash({ offset, length, pageSize, key }: ChildOperations['hashPages']['request']): { hashes: Uint8Array } {
    const bytes = this.read(offset, length);
    this.whole?.update(bytes);
    const room = key.length + pageSize;
    if (this.staging.length !== room) this.staging = Buffer.alloc(room);
    this.staging.set(key);
    const count = Math.floor(bytes.length / pageSize);
    const hashes = Buffer.allocUnsafe(count * PAGE_HASH_BYTES);
    for (let page = 0; page < count; page++) {
      bytes.copy(this.staging, key.length, page * pageSize, (page + 1) * pageSize);
      hash('sha256', this.staging, 'buffer').copy(hashes, page * PAGE_HASH_BYTES, 0, PAGE_HASH_BYTES);
    }
    return { hashes };
  }

  /** Of all that was hashed, in that order. */
  digest(): { sha256: string } {
    const sha256 = this.whole?.digest('hex') ?? '';
    this.whole = undefined;
    return { sha256 };
  }

  close(): void {
    if (this.files === undefined) return;
    closeSync(this.files.source);
    closeSync(this.files.exchange);
    this.files = undefined;
    this.held.length = 0;
  }

  private opened(): { source: number; exchange: number } {
    if (this.files === undefined) throw new RangeError('no file is open');
    return this.files;
  }

  /** Valid until the next read but one; shorter at the end of the file. */
  private read(offset: number, length: number): Buffer {
    const { source } = this.opened();
    for (const { offset: from, filled, buffer } of this.held)
      if (from <= offset && offset + length <= from + filled)
        return buffer.subarray(offset - from, offset - from + length);
    const oldest = this.held.length < 2 ? undefined : this.held.shift()?.buffer;
    const buffer = oldest !== undefined && oldest.length >= length ? oldest : Buffer.allocUnsafeSlow(length);
    let filled = 0;
    while (filled < length) {
      const read = readSync(source, buffer, filled, length - filled, offset + filled);
      if (read === 0) break;
      filled += read;
    }
    this.held.push({ offset, filled, buffer });
    return buffer.subarray(0, filled);
  }
}
