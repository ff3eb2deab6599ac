import { mkdtemp, open, realpath, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import {
  layoutPath,
  parentEntries,
  type ComponentFacts,
  type Dump,
  type DumpEntry,
  type DumpRun,
  type EntryContent,
  type EntryMeta,
} from '@foodsave-backup/component';
import { BackupError, assert, isoTime, throwIfCancelled, toBackupError } from '@foodsave-backup/kernel';
import { SqliteChild } from './child/client.ts';
import type { CaptureResult, DatabaseFacts } from './child/protocol.ts';
import { HEADER_BYTES, parseHeader } from './header.ts';
import type { SqliteSource } from './sqlite-source.ts';
import { openUnchangedDump, sourceFact, stateOf } from './unchanged.ts';

/** What the engine may ask for at once, in bytes. */
const MAX_READ = 4 << 20;
const STREAM_PIECE = 1 << 20;

/**
 * Captures the database into a private file (0600) in the scratch directory and opens that as a dump of one entry. Every
 * commit acknowledged before the call is in it. Throws DATABASE_BACKUP_FAILED; `details.reason` is the specific code.
 */
export async function openSqliteDump(source: SqliteSource, run: DumpRun): Promise<Dump> {
  const { settings, context, binding } = source;
  let directory: string | undefined;
  let child: SqliteChild | undefined;
  try {
    throwIfCancelled(run.signal);
    const startedMs = context.clock.now();
    const state = await stateOf(settings.path);
    const meta = await sourceMeta(settings.path);
    const unchanged = await openUnchangedDump(source, run, state, meta);
    if (unchanged !== undefined) return unchanged;
    directory = await mkdtemp(join(context.scratchDir, 'sqlite-'));
    child = new SqliteChild({ binding, scratchDir: directory, signal: run.signal });
    let capturedAt = isoTime(context.clock);
    child.onPinned = () => {
      capturedAt = isoTime(context.clock);
    };
    const snapshot = join(directory, 'snapshot.db');
    const { path, busyTimeoutMs } = settings;
    const capture = await child.call('capture', { path, snapshot, busyTimeoutMs });
    if (capture.method === 'empty') {
      run.warn({
        code: 'DATABASE_EMPTY',
        message: 'The database file has no bytes. It is kept as a database without tables.',
        path: layoutPath(context.baseDir, path),
      });
    }
    const kept = await sourceFact(path, state, startedMs);
    const facts = child.call('facts', { path: snapshot, integrity: settings.integrityCheck });
    return await SnapshotDump.open({ source, directory, snapshot, child, capture, capturedAt, meta, kept, facts });
  } catch (error) {
    child?.close();
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
    throw databaseBackupFailed(error, settings.path);
  }
}

interface Snapshot {
  source: SqliteSource;
  directory: string;
  snapshot: string;
  child: SqliteChild;
  capture: CaptureResult;
  capturedAt: string;
  meta: EntryMeta;
  kept: { sourceState?: string };
  /** Computed by the child while the engine reads the pages. */
  facts: Promise<DatabaseFacts>;
}

/** Serves the pages of a private copy. Reading that one here is safe: nobody else knows it. */
class SnapshotDump implements Dump {
  private readonly snapshot: Snapshot;
  private readonly file: FileHandle;
  private readonly size: number;
  private readonly pageSize: number | undefined;
  private closed = false;

  private constructor(snapshot: Snapshot, file: FileHandle, size: number, pageSize: number | undefined) {
    this.snapshot = snapshot;
    this.file = file;
    this.size = size;
    this.pageSize = pageSize;
  }

  static async open(snapshot: Snapshot): Promise<SnapshotDump> {
    // Whoever fails before it asks for the facts has no use for their failure.
    snapshot.facts.catch(() => undefined);
    const file = await open(snapshot.snapshot, 'r');
    try {
      const { size } = await file.stat();
      const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
      const header = parseHeader(buffer.subarray(0, bytesRead));
      // Only of a damaged source, which is kept as it is, need the size not be whole pages.
      const pageSize = header !== undefined && size % header.pageSize === 0 ? header.pageSize : undefined;
      return new SnapshotDump(snapshot, file, size, pageSize);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async *entries(): AsyncIterable<DumpEntry> {
    const { source, meta } = this.snapshot;
    const path = layoutPath(source.context.baseDir, source.settings.path);
    yield* await parentEntries(source.context.baseDir, source.settings.path, source.context.clock);
    yield { path, kind: 'file', meta, size: this.size, content: this.content() };
  }

  async facts(): Promise<ComponentFacts> {
    const { capture, capturedAt, facts, kept, source } = this.snapshot;
    try {
      const { corrupt, ...rest } = await facts;
      const damaged = corrupt || capture.method === 'damaged-copy';
      return {
        capturedAt,
        ...rest,
        ...(damaged ? { corrupt: true } : {}),
        journalMode: capture.journalMode,
        captureMethod: capture.method,
        longestStallMs: capture.longestStallMs,
        restarts: capture.restarts,
        binding: capture.binding,
        ...kept,
      };
    } catch (error) {
      throw databaseBackupFailed(error, source.settings.path);
    }
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.snapshot.child.close();
    await this.file.close();
    await rm(this.snapshot.directory, { recursive: true, force: true });
  }

  private content(): EntryContent {
    const { pageSize, size } = this;
    if (pageSize === undefined) return { kind: 'stream', open: () => this.pieces() };
    const pageCount = size / pageSize;
    return {
      kind: 'paged',
      pageSize,
      pageCount,
      read: (first, count) => {
        assert(first >= 0 && count > 0 && first + count <= pageCount, 'pages inside the database are asked for');
        assert(count * pageSize <= MAX_READ, 'at most 4 MiB are asked for');
        return this.readExactly(first * pageSize, count * pageSize);
      },
    };
  }

  private async *pieces(): AsyncIterable<Uint8Array> {
    for (let offset = 0; offset < this.size; offset += STREAM_PIECE) {
      yield await this.readExactly(offset, Math.min(STREAM_PIECE, this.size - offset));
    }
  }

  private async readExactly(offset: number, length: number): Promise<Uint8Array> {
    const buffer = Buffer.allocUnsafeSlow(length);
    for (let filled = 0; filled < length;) {
      const { bytesRead } = await this.file.read(buffer, filled, length - filled, offset + filled);
      if (bytesRead === 0) {
        throw new BackupError('IO_ERROR', 'Database backup failed: the private copy ended before its end', {
          hint: 'Check the disk that holds the temporary files, then run the backup again.',
        });
      }
      filled += bytesRead;
    }
    return buffer;
  }
}

/** By stat alone: opening and closing the file here would drop the locks of an application in this process. */
async function sourceMeta(path: string): Promise<EntryMeta> {
  let found;
  try {
    found = await stat(await realpath(path), { bigint: true });
  } catch {
    // The child finds the same and says it in the words for it.
    return { mode: 0o600, uid: 0, gid: 0, mtimeNs: 0n };
  }
  return {
    mode: Number(found.mode) & 0o7777,
    uid: Number(found.uid),
    gid: Number(found.gid),
    mtimeNs: found.mtimeNs,
    ctimeNs: found.ctimeNs,
    inode: found.ino,
  };
}

function databaseBackupFailed(error: unknown, path: string): BackupError {
  const reason = toBackupError(error);
  if (reason.code === 'CANCELLED' || reason.code === 'INTERRUPTED' || reason.code === 'DATABASE_BACKUP_FAILED') {
    return reason;
  }
  return new BackupError('DATABASE_BACKUP_FAILED', `Database backup failed: ${reason.message}`, {
    ...(reason.hint === undefined ? {} : { hint: reason.hint }),
    details: { ...reason.details, reason: reason.code, path },
    cause: reason,
  });
}
