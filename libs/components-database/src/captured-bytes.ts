import { open, type FileHandle } from 'node:fs/promises';
import { assert, BackupError } from '@foodsave-backup/kernel';
import { PAGE_HASH_BYTES, readFully, SourceMoved, type HashedPages } from '@foodsave-backup/component';
import type { SqliteChild } from './child/client.ts';
import { HEADER_BYTES, parseHeader } from './header.ts';

/** The bytes of one state of a database. */
export interface CapturedBytes {
  readonly size: number;
  /** Absent where the bytes are not whole pages, which only happens to a damaged source. */
  readonly pageSize?: number;
  /** Fills `into` with the bytes from `offset` on. At most 4 MiB; valid calls come one after the other. */
  read(into: Buffer, offset: number): Promise<void>;
  readonly hashed?: HashedPages;
  /** To be asked after the last read. Throws SourceMoved when what was read is not of one state. */
  assertOneState(): Promise<void>;
  close(): Promise<void>;
}

/** A private copy. Reading that one here is safe: nobody else knows it. */
export class PrivateCopy implements CapturedBytes {
  readonly size: number;
  readonly pageSize?: number;
  private readonly file: FileHandle;

  private constructor(file: FileHandle, size: number, pageSize: number | undefined) {
    this.file = file;
    this.size = size;
    if (pageSize !== undefined) this.pageSize = pageSize;
  }

  static async open(path: string): Promise<PrivateCopy> {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
      const header = parseHeader(buffer.subarray(0, bytesRead));
      // Only of a damaged source, which is kept as it is, need the size not be whole pages.
      const pageSize = header !== undefined && size % header.pageSize === 0 ? header.pageSize : undefined;
      return new PrivateCopy(file, size, pageSize);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async read(into: Buffer, offset: number): Promise<void> {
    if ((await readFully(this.file, into, offset)) < into.length) {
      throw new BackupError('IO_ERROR', 'Database backup failed: the private copy ended before its end', {
        hint: 'Check the disk that holds the temporary files, then run the backup again.',
      });
    }
  }

  assertOneState(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

const SLOT_BYTES = 4 << 20;

/**
 * A database that the child reads for us, a piece ahead: it puts the bytes into a small file of ours. Where it lies in place,
 * opening it here, and closing it, could drop the locks of an application in this process; and whoever hashes pages there has
 * a processor of its own.
 */
export class ServedPages implements CapturedBytes, HashedPages {
  readonly size: number;
  readonly pageSize: number;
  readonly hashed = this;
  private readonly child: SqliteChild;
  private readonly exchange: FileHandle;
  private readonly inPlace: boolean;
  private ahead: { offset: number; length: number; slot: number; bytes: Promise<{ bytes: number }> } | undefined;
  private hashing: { first: number; count: number; done: Promise<{ hashes: Uint8Array }> } | undefined;

  private constructor(child: SqliteChild, exchange: FileHandle, { bytes, pageSize, inPlace }: Served) {
    this.child = child;
    this.exchange = exchange;
    this.size = bytes;
    this.pageSize = pageSize;
    this.inPlace = inPlace;
  }

  /** `exchange`: the path of the file that the child made. */
  static async open(child: SqliteChild, exchange: string, served: Served): Promise<ServedPages> {
    return new ServedPages(child, await open(exchange, 'r'), served);
  }

  async read(into: Buffer, offset: number): Promise<void> {
    const { length } = into;
    const known = this.ahead?.offset === offset && this.ahead.length === length ? this.ahead : undefined;
    const { slot, bytes } = known ?? this.ask(offset, length, 0);
    this.ahead = undefined;
    if ((await bytes).bytes < length) throw new SourceMoved('The database');
    const next = offset + length;
    // Whoever reads as much as can be asked for reads everything.
    if (next < this.size && length === SLOT_BYTES) this.ask(next, Math.min(length, this.size - next), 1 - slot);
    if ((await readFully(this.exchange, into, slot * SLOT_BYTES)) < length) throw new SourceMoved('The database');
  }

  private ask(offset: number, length: number, slot: number): NonNullable<ServedPages['ahead']> {
    const bytes = this.child.call('pages', { offset, length, at: slot * SLOT_BYTES });
    // Whoever reads there sees why it failed.
    bytes.catch(() => undefined);
    this.ahead = { offset, length, slot, bytes };
    return this.ahead;
  }

  async hashes(first: number, count: number, key: Uint8Array): Promise<Uint8Array> {
    const known = this.hashing?.first === first && this.hashing.count === count ? this.hashing : undefined;
    // Each page is hashed once: the digest of them all is made on the way.
    assert(known !== undefined || this.hashing === undefined, 'pages are hashed in order');
    const { done } = known ?? this.askHashes(first, count, key);
    this.hashing = undefined;
    const { hashes } = await done;
    if (hashes.length !== count * PAGE_HASH_BYTES) throw new SourceMoved('The database');
    const left = this.size / this.pageSize - first - count;
    if (left > 0) this.askHashes(first + count, Math.min(count, left), key);
    return hashes;
  }

  private askHashes(first: number, count: number, key: Uint8Array): NonNullable<ServedPages['hashing']> {
    const { pageSize } = this;
    const request = { offset: first * pageSize, length: count * pageSize, pageSize, key };
    const done = this.child.call('hashPages', request);
    done.catch(() => undefined);
    this.hashing = { first, count, done };
    return this.hashing;
  }

  async sha256(): Promise<Uint8Array> {
    return Buffer.from((await this.child.call('digest', {})).sha256, 'hex');
  }

  async assertOneState(): Promise<void> {
    await this.ahead?.bytes;
    if (this.inPlace && !(await this.child.call('isStill', {})).still) throw new SourceMoved('The database');
  }

  close(): Promise<void> {
    return this.exchange.close();
  }
}

interface Served {
  bytes: number;
  pageSize: number;
  /** Of a source that may move, not of a private copy. */
  inPlace: boolean;
}
