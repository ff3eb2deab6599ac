import { open, type FileHandle } from 'node:fs/promises';
import { BackupError } from '@foodsave-backup/kernel';
import { SourceMoved } from '@foodsave-backup/component';
import type { SqliteChild } from './child/client.ts';
import { HEADER_BYTES, parseHeader } from './header.ts';

/** The bytes of one state of a database. */
export interface CapturedBytes {
  readonly size: number;
  /** Absent where the bytes are not whole pages, which only happens to a damaged source. */
  readonly pageSize?: number;
  /** Fills `into` with the bytes from `offset` on. At most 4 MiB; valid calls come one after the other. */
  read(into: Buffer, offset: number): Promise<void>;
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
 * A database that is read where it lies, by the child: it puts the bytes into a small file of ours, and is a piece ahead.
 * Opening the database here, and closing it, could drop the locks of an application in this process.
 */
export class InPlace implements CapturedBytes {
  readonly size: number;
  readonly pageSize: number;
  private readonly child: SqliteChild;
  private readonly exchange: FileHandle;
  private ahead: { offset: number; length: number; slot: number; bytes: Promise<{ bytes: number }> } | undefined;

  private constructor(
    child: SqliteChild,
    exchange: FileHandle,
    { bytes, pageSize }: { bytes: number; pageSize: number },
  ) {
    this.child = child;
    this.exchange = exchange;
    this.size = bytes;
    this.pageSize = pageSize;
  }

  /** `exchange`: the path of the file that the child made. */
  static async open(
    child: SqliteChild,
    exchange: string,
    still: { bytes: number; pageSize: number },
  ): Promise<InPlace> {
    return new InPlace(child, await open(exchange, 'r'), still);
  }

  async read(into: Buffer, offset: number): Promise<void> {
    const { length } = into;
    const known = this.ahead?.offset === offset && this.ahead.length === length ? this.ahead : undefined;
    const { slot, bytes } = known ?? this.ask(offset, length, 0);
    if ((await bytes).bytes < length) throw new SourceMoved('The database');
    const next = offset + length;
    if (next < this.size) this.ask(next, Math.min(length, this.size - next), 1 - slot);
    if ((await readFully(this.exchange, into, slot * SLOT_BYTES)) < length) throw new SourceMoved('The database');
  }

  private ask(offset: number, length: number, slot: number): NonNullable<InPlace['ahead']> {
    const bytes = this.child.call('pages', { offset, length, at: slot * SLOT_BYTES });
    // Whoever reads there sees why it failed.
    bytes.catch(() => undefined);
    this.ahead = { offset, length, slot, bytes };
    return this.ahead;
  }

  async assertOneState(): Promise<void> {
    await this.ahead?.bytes;
    if (!(await this.child.call('isStill', {})).still) throw new SourceMoved('The database');
  }

  close(): Promise<void> {
    return this.exchange.close();
  }
}

/** Bytes that were read: fewer than `into` has only at the end of the file. */
async function readFully(file: FileHandle, into: Buffer, offset: number): Promise<number> {
  let filled = 0;
  while (filled < into.length) {
    const { bytesRead } = await file.read(into, filled, into.length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}
