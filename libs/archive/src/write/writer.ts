import { throwIfCancelled } from '@foodsave-backup/kernel';

/** What ZIP and tar show of an entry to other tools; the records hold the rest. */
export interface EntryLook {
  /** Permission bits, 07777. */
  mode: number;
  mtimeNs: bigint;
  uid?: number;
  gid?: number;
}

export interface FileToWrite {
  path: string;
  /** Bytes that `content` gives, exactly: a writer may have to say them first. */
  size: number;
  look: EntryLook;
  content: () => AsyncIterable<Uint8Array>;
}

/** Writes the entries of one archive to a stream, one after the other. Each method resolves when the next may come. */
export interface ArchiveWriter {
  directory(path: string, look: EntryLook): Promise<void>;
  symlink(path: string, target: string, look: EntryLook): Promise<void>;
  file(file: FileToWrite): Promise<void>;
  /** Writes the end. Resolves when the stream has taken and finished everything. */
  finish(): Promise<void>;
  /** Gives up: the stream is destroyed and never ends as a whole archive. Idempotent; nothing after `finish`. */
  abort(error: Error): Promise<void>;
}

/** Whole milliseconds, for formats that know no more. Dates outside what a `Date` holds become its ends. */
export function dateOf(mtimeNs: bigint): Date {
  const ms = mtimeNs / 1_000_000n;
  const end = 8_640_000_000_000_000n;
  return new Date(Number(ms > end ? end : ms < -end ? -end : ms));
}

/** All of a small content. */
export async function bytesOf(content: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of content) {
    throwIfCancelled(signal);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
