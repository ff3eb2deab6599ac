import { closeSync, constants, fstatSync, openSync, readSync, type BigIntStats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { BackupError, systemErrorCode, throwIfCancelled, printable, type Piece } from '@foodsave-backup/kernel';
import { contentSource } from '../content.ts';
import { fsPath } from '../names.ts';
import type { EntryMeta, StreamContent, Xattr } from '../port.ts';
import { isVerySparse, mayHaveHoles, PIECE_BYTES, readPieces } from './holes.ts';
import type { NativeFs } from './native.ts';

const ATTEMPTS = 3;
/** Neither through a link nor waiting for the other end of a FIFO that took the place of a file. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * A change within this time before a capture may be followed by another one that leaves size and times as they are (the
 * granularity of time stamps is milliseconds, on some file systems two seconds). Git calls it "racy"
 * (https://git-scm.com/docs/racy-git). The entry of such a file is stored without change time, so that the next backup
 * cannot mistake it for unchanged and reads it again.
 */
export const RACY_NS = 2_000_000_000n;

/** Metadata of an entry. `startedNs`: start of the capture; without it the entry can never be found unchanged. */
export function metaOf(stats: BigIntStats, startedNs: bigint | undefined): EntryMeta {
  const meta: EntryMeta = {
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtimeNs: stats.mtimeNs,
  };
  if (startedNs === undefined) return meta;
  return settled({ ...meta, ctimeNs: stats.ctimeNs, inode: stats.ino }, startedNs);
}

/** Metadata without change time and inode when a change after the capture could hide behind them. */
export function settled(meta: EntryMeta, startedNs: bigint): EntryMeta {
  const { ctimeNs, inode: _inode, ...rest } = meta;
  const racy = (ctimeNs ?? 0n) > startedNs - RACY_NS || meta.mtimeNs > startedNs - RACY_NS;
  return racy ? rest : meta;
}

/** Whether two looks at one file show no sign of a write in between. */
export function sameState(a: BigIntStats, b: BigIntStats): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs && a.ino === b.ino && a.dev === b.dev;
}

export interface OpenedFile {
  size: number;
  meta: EntryMeta;
  /** Known before streaming only for small files, which are read ahead. */
  changed: boolean;
  hardLinked: boolean;
  /** It has holes that are not read. */
  sparse: boolean;
  content: StreamContent;
  close(): Promise<void>;
}

export interface OpenFileOptions {
  signal: AbortSignal;
  startedNs: bigint;
  /** To find holes; without it they are read as zeros. */
  native?: NativeFs;
  /** Reads the extended attributes of the open file for its metadata; undefined when they are not kept. */
  xattrs?: (fd: number) => readonly Xattr[] | undefined;
  /** Called once when the file turned out to be altered while it was read. */
  onChanged?: () => void;
}

/** A file that is open and whose first bytes are on their way. */
export interface BegunFile {
  /** Reads it, or opens it for reading in pieces. To be called once, or `close`. Rejects as `openFile`. */
  read(): OpenedFile | undefined | Promise<OpenedFile | undefined>;
  close(): void;
}

/**
 * Opens a regular file without following a link and without blocking on anything else that took its place. Files up to
 * 1 MiB are read here, again when they change, at most three times; larger ones are streamed as long as they were when
 * opened, so that a growing log has an end, and their holes are not read. Rejects with the system error (ENOENT, EACCES,
 * ELOOP, EIO, …), or undefined when it is no longer a regular file.
 */
export async function openFile(path: string, options: OpenFileOptions): Promise<OpenedFile | undefined> {
  return beginFile(path, options).read();
}

/** `openFile` in two steps, so that a disk can be at work for many files at once. Throws what cannot be opened. */
export function beginFile(path: string, options: OpenFileOptions): BegunFile {
  const fd = openSync(fsPath(path), FLAGS);
  let open = true;
  const close = (): void => {
    if (open) closeSync(fd);
    open = false;
  };
  options.native?.willRead(fd, PIECE_BYTES);
  return {
    read: () => {
      try {
        const small = readSmall(fd, options);
        if (small !== LARGE) return small;
      } finally {
        close();
      }
      return openLarge(path, options);
    },
    close,
  };
}

async function openLarge(path: string, options: OpenFileOptions): Promise<OpenedFile | undefined> {
  const handle = await open(fsPath(path), FLAGS);
  try {
    const stats = await handle.stat({ bigint: true });
    if (stats.isFile()) return streamed(path, handle, stats, options);
    await handle.close();
    return undefined;
  } catch (error) {
    await handle.close().catch(() => undefined);
    throw error;
  }
}

const LARGE = Symbol('not to be read at once');

/** Reads a small file without leaving this thread: the way to the thread pool and back takes longer than such a read. */
function readSmall(fd: number, options: OpenFileOptions): OpenedFile | typeof LARGE | undefined {
  const stats = fstatSync(fd, { bigint: true });
  if (!stats.isFile()) return undefined;
  if (stats.size > BigInt(PIECE_BYTES) || (options.native !== undefined && mayHaveHoles(stats))) return LARGE;
  const small = readStable(fd, stats, options);
  return small === undefined ? LARGE : inMemory(small, options);
}

interface SmallFile {
  bytes: Buffer;
  stats: BigIntStats;
  xattrs: readonly Xattr[] | undefined;
  changed: boolean;
}

/** Undefined when the file outgrew the bound meanwhile. */
function readStable(fd: number, first: BigIntStats, options: OpenFileOptions): SmallFile | undefined {
  let before = first;
  for (let attempt = 1; ; attempt++) {
    const bytes = readUpTo(fd, Number(before.size));
    const xattrs = options.xattrs?.(fd);
    const after = fstatSync(fd, { bigint: true });
    const changed = !sameState(before, after) || bytes.length !== Number(after.size);
    if (!changed || attempt === ATTEMPTS) return { bytes, stats: after, xattrs, changed };
    lent.give(bytes);
    if (after.size > BigInt(PIECE_BYTES)) return undefined;
    before = after;
  }
}

/**
 * Memory for small files, used again once one is closed: fresh memory for each costs page faults, and collections of what is
 * outside the heap.
 */
class Lent {
  readonly #free: Buffer[] = [];

  take(length: number): Buffer {
    const buffer = length <= USUAL_BYTES ? this.#free.pop() : undefined;
    return (buffer ?? Buffer.allocUnsafeSlow(Math.max(length, USUAL_BYTES))).subarray(0, length);
  }

  give({ buffer }: Buffer): void {
    if (buffer.byteLength === USUAL_BYTES && this.#free.length < KEPT) this.#free.push(Buffer.from(buffer));
  }
}

/** Bytes that most small files fit into. */
const USUAL_BYTES = 128 * 1024;
const KEPT = 16;
const lent = new Lent();

function readUpTo(fd: number, size: number): Buffer {
  const buffer = lent.take(size);
  let filled = 0;
  while (filled < size) {
    const bytesRead = readOnce(fd, buffer, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** A disk that reports EIO is asked again, because some errors pass. */
function readOnce(fd: number, buffer: Buffer, at: number): number {
  for (let attempt = 1; ; attempt++) {
    try {
      return readSync(fd, buffer, at, buffer.length - at, at);
    } catch (error) {
      if (attempt === ATTEMPTS || systemErrorCode(error) !== 'EIO') throw error;
    }
  }
}

function inMemory(file: SmallFile, options: OpenFileOptions): OpenedFile {
  const meta = withXattrs(metaOf(file.stats, file.changed ? undefined : options.startedNs), file.xattrs);
  if (file.changed) options.onChanged?.();
  let closed = false;
  return {
    size: file.bytes.length,
    meta,
    changed: file.changed,
    hardLinked: file.stats.nlink > 1n,
    sparse: false,
    content: {
      kind: 'stream',
      whole: { bytes: file.bytes, changed: file.changed },
      async *open() {
        throwIfCancelled(options.signal);
        if (file.bytes.length > 0) yield await Promise.resolve(file.bytes);
      },
      finish: () => Promise.resolve({ changed: file.changed, meta }),
    },
    close: () => {
      // Once: memory that is given back twice would be lent to two files.
      if (!closed) lent.give(file.bytes);
      closed = true;
      return Promise.resolve();
    },
  };
}

/** Metadata with the extended attributes that were found, if somebody looked. */
export function withXattrs(meta: EntryMeta, xattrs: readonly Xattr[] | undefined): EntryMeta {
  return xattrs === undefined ? meta : { ...meta, xattrs };
}

function streamed(path: string, handle: FileHandle, before: BigIntStats, options: OpenFileOptions): OpenedFile {
  const size = Number(before.size);
  const xattrs = options.xattrs?.(handle.fd);
  const sparse = options.native !== undefined && mayHaveHoles(before);
  const reading = { signal: options.signal, native: sparse ? options.native : undefined };
  let read = 0;
  let closed: Promise<void> | undefined;
  async function* pieces(): AsyncGenerator<Piece> {
    try {
      for await (const piece of readPieces(handle, size, reading)) {
        read += 'hole' in piece ? piece.hole : piece.length;
        yield piece;
      }
    } catch (error) {
      throwIfCancelled(options.signal);
      throw unreadable(path, error);
    }
  }
  return {
    size,
    meta: withXattrs(metaOf(before, options.startedNs), xattrs),
    changed: false,
    hardLinked: before.nlink > 1n,
    sparse,
    content: {
      kind: 'stream',
      open: contentSource(pieces),
      ...(sparse && isVerySparse(before) ? { sparse } : {}),
      async finish() {
        const after = await handle.stat({ bigint: true });
        const changed = !sameState(before, after) || read !== size;
        if (changed) options.onChanged?.();
        return { changed, meta: withXattrs(metaOf(after, changed ? undefined : options.startedNs), xattrs) };
      },
    },
    close: () => (closed ??= handle.close()),
  };
}

export function unreadable(path: string, cause: unknown): BackupError {
  const why = systemErrorCode(cause) ?? (cause instanceof Error ? cause.message : String(cause));
  return new BackupError('SOURCE_UNREADABLE', `Cannot read "${printable(path)}": ${printable(why)}`, {
    hint: 'Check the permissions of the path and the health of its disk, then run the backup again.',
    cause,
  });
}
