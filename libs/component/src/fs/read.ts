import { constants, type BigIntStats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { BackupError, throwIfCancelled, printable } from '@foodsave-backup/kernel';
import { fsPath } from '../names.ts';
import type { EntryMeta, StreamContent } from '../port.ts';

/** Pieces that a stream yields, in bytes; files up to this size are read whole and re-read until they are stable. */
export const PIECE_BYTES = 1024 * 1024;
const ATTEMPTS = 3;

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
  content: StreamContent;
  close(): Promise<void>;
}

export interface OpenFileOptions {
  signal: AbortSignal;
  startedNs: bigint;
  /** Called once when the file turned out to be altered while it was read. */
  onChanged?: () => void;
}

/**
 * Opens a regular file without following a link and without blocking on anything else that took its place. Files up to
 * 1 MiB are read here, again when they change, at most three times; larger ones are streamed as long as they were when
 * opened, so that a growing log has an end. Rejects with the system error (ENOENT, EACCES, ELOOP, EIO, …), or undefined
 * when it is no longer a regular file.
 */
export async function openFile(path: string, options: OpenFileOptions): Promise<OpenedFile | undefined> {
  const handle = await open(fsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = await handle.stat({ bigint: true });
    if (!stats.isFile()) {
      await handle.close();
      return undefined;
    }
    if (stats.size <= BigInt(PIECE_BYTES)) {
      const small = await readStable(handle, stats);
      if (small) {
        await handle.close();
        return inMemory(small, options);
      }
    }
    return streamed(path, handle, await handle.stat({ bigint: true }), options);
  } catch (error) {
    await handle.close().catch(() => undefined);
    throw error;
  }
}

interface SmallFile {
  bytes: Buffer;
  stats: BigIntStats;
  changed: boolean;
}

/** Undefined when the file outgrew the bound meanwhile. */
async function readStable(handle: FileHandle, first: BigIntStats): Promise<SmallFile | undefined> {
  let before = first;
  for (let attempt = 1; ; attempt++) {
    const bytes = await readUpTo(handle, Number(before.size));
    const after = await handle.stat({ bigint: true });
    const changed = !sameState(before, after) || bytes.length !== Number(after.size);
    if (!changed || attempt === ATTEMPTS) return { bytes, stats: after, changed };
    if (after.size > BigInt(PIECE_BYTES)) return undefined;
    before = after;
  }
}

async function readUpTo(handle: FileHandle, size: number): Promise<Buffer> {
  // From the shared pool where it is small: a million files would otherwise be a million allocations.
  const buffer = Buffer.allocUnsafe(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await handle.read(buffer, filled, size - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

function inMemory(file: SmallFile, options: OpenFileOptions): OpenedFile {
  const meta = metaOf(file.stats, file.changed ? undefined : options.startedNs);
  if (file.changed) options.onChanged?.();
  return {
    size: file.bytes.length,
    meta,
    changed: file.changed,
    hardLinked: file.stats.nlink > 1n,
    content: {
      kind: 'stream',
      async *open() {
        throwIfCancelled(options.signal);
        if (file.bytes.length > 0) yield await Promise.resolve(file.bytes);
      },
      finish: () => Promise.resolve({ changed: file.changed, meta }),
    },
    close: () => Promise.resolve(),
  };
}

function streamed(path: string, handle: FileHandle, before: BigIntStats, options: OpenFileOptions): OpenedFile {
  const size = Number(before.size);
  let read = 0;
  let closed: Promise<void> | undefined;
  return {
    size,
    meta: metaOf(before, options.startedNs),
    changed: false,
    hardLinked: before.nlink > 1n,
    content: {
      kind: 'stream',
      async *open() {
        while (read < size) {
          throwIfCancelled(options.signal);
          const piece = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, size - read));
          const { bytesRead } = await handle.read(piece, 0, piece.length, read).catch((error: unknown) => {
            throw unreadable(path, error);
          });
          if (bytesRead === 0) return;
          read += bytesRead;
          yield piece.subarray(0, bytesRead);
        }
      },
      async finish() {
        const after = await handle.stat({ bigint: true });
        const changed = !sameState(before, after) || read !== size;
        if (changed) options.onChanged?.();
        return { changed, meta: metaOf(after, changed ? undefined : options.startedNs) };
      },
    },
    close: () => (closed ??= handle.close()),
  };
}

export function unreadable(path: string, cause: unknown): BackupError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BackupError('SOURCE_UNREADABLE', `Cannot read "${printable(path)}": ${printable(why)}`, {
    hint: 'Check the permissions of the path and the health of its disk, then run the backup again.',
    cause,
  });
}
