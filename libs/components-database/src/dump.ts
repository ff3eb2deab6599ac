import { mkdtemp, realpath, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  layoutPath,
  parentEntries,
  SourceMoved,
  type ComponentFacts,
  type Dump,
  type DumpEntry,
  type DumpRun,
  type EntryContent,
  type EntryMeta,
} from '@foodsave-backup/component';
import { BackupError, assert, isoTime, throwIfCancelled, toBackupError } from '@foodsave-backup/kernel';
import { PrivateCopy, ServedPages, type CapturedBytes } from './captured-bytes.ts';
import { SqliteChild } from './child/client.ts';
import type { CaptureResult, DatabaseFacts } from './child/protocol.ts';
import { integrityLevel } from './config.ts';
import type { SqliteSource } from './sqlite-source.ts';
import { openUnchangedDump, sourceFact, stateOf } from './unchanged.ts';

/** What the engine may ask for at once, in bytes. */
const MAX_READ = 4 << 20;
const STREAM_PIECE = 1 << 20;

/**
 * Opens one consistent state of the database as a dump of one entry: where it lies, when nobody writes it; otherwise as a
 * private file (0600) in the scratch directory. Every commit acknowledged before the call is in it. Throws
 * DATABASE_BACKUP_FAILED; `details.reason` is the specific code.
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
    const opening = { source, run, directory, child };
    const first = (run.attempt ?? 1) === 1;
    const opened = (first ? await openInPlace(opening) : undefined) ?? (await openCopy(opening));
    const kept = await sourceFact(settings.path, state, startedMs);
    return new SqliteDump({ source, directory, child, meta, kept, ...opened });
  } catch (error) {
    child?.close();
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
    throw databaseBackupFailed(error, settings.path);
  }
}

interface Opening {
  source: SqliteSource;
  run: DumpRun;
  directory: string;
  child: SqliteChild;
}

interface Opened {
  bytes: CapturedBytes;
  capture: CaptureResult;
  capturedAt: string;
  /** Computed by the child while the engine reads the pages. */
  facts: Promise<DatabaseFacts>;
}

/** Undefined where somebody may write, or something is not plain. */
async function openInPlace({ source, run, directory, child }: Opening): Promise<Opened | undefined> {
  const { path, busyTimeoutMs } = source.settings;
  const exchange = join(directory, 'pages');
  const { still } = await child.call('openStill', { path, exchange, busyTimeoutMs });
  if (still === undefined) return undefined;
  const capturedAt = isoTime(source.context.clock);
  const { binding, journalMode } = still;
  const bytes = await ServedPages.open(child, exchange, { ...still, inPlace: true });
  const integrity = integrityLevel(source.settings, run.verify);
  const facts = child.call('facts', { path: still.source, integrity, inPlace: true });
  const capture = { method: 'in-place' as const, journalMode, longestStallMs: 0, restarts: 0, binding };
  return { bytes, capture, capturedAt, facts: asked(facts.then(refuseDamage)) };
}

/** Whoever fails, or is cancelled, before it asks for the answer has no use for the failure of the question. */
function asked<T>(answer: Promise<T>): Promise<T> {
  answer.catch(() => undefined);
  return answer;
}

/** What looks damaged may have been written meanwhile, and is captured with locks. */
function refuseDamage(facts: DatabaseFacts): DatabaseFacts {
  if (facts.corrupt) throw new SourceMoved('The database');
  return facts;
}

async function openCopy({ source, run, directory, child }: Opening): Promise<Opened> {
  const { settings, context } = source;
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
  const bytes = await servedCopy(child, snapshot, directory);
  const facts = child.call('facts', { path: snapshot, integrity: integrityLevel(settings, run.verify) });
  return { bytes, capture, capturedAt, facts: asked(facts) };
}

/** What is not whole pages is read here, byte by byte. */
async function servedCopy(child: SqliteChild, snapshot: string, directory: string): Promise<CapturedBytes> {
  const copy = await PrivateCopy.open(snapshot);
  const { size, pageSize } = copy;
  if (pageSize === undefined) return copy;
  await copy.close();
  const exchange = join(directory, 'pages');
  await child.call('serveCopy', { path: snapshot, exchange });
  return ServedPages.open(child, exchange, { bytes: size, pageSize, inPlace: false });
}

interface Captured extends Opened {
  source: SqliteSource;
  directory: string;
  child: SqliteChild;
  meta: EntryMeta;
  kept: { sourceState?: string };
}

/** Serves the pages of a captured database. */
class SqliteDump implements Dump {
  private readonly captured: Captured;
  /** What the last read gave. */
  private buffer = Buffer.alloc(0);
  private closed = false;

  constructor(captured: Captured) {
    this.captured = captured;
  }

  async *entries(): AsyncIterable<DumpEntry> {
    const { source, meta, bytes } = this.captured;
    const path = layoutPath(source.context.baseDir, source.settings.path);
    yield* await parentEntries(source.context.baseDir, source.settings.path, source.context.clock);
    yield { path, kind: 'file', meta, size: bytes.size, content: this.content() };
  }

  async facts(): Promise<ComponentFacts> {
    const { capture, capturedAt, kept, source } = this.captured;
    try {
      const { corrupt, ...rest } = await this.provenFacts();
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

  /** When the source moved, what SQLite found in it means nothing. */
  private async provenFacts(): Promise<DatabaseFacts> {
    const { facts, bytes } = this.captured;
    const [found] = await Promise.allSettled([facts]);
    await bytes.assertOneState();
    if (found.status === 'rejected') throw found.reason;
    return found.value;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.captured.child.close();
    await this.captured.bytes.close();
    await rm(this.captured.directory, { recursive: true, force: true });
  }

  private content(): EntryContent {
    const { size, pageSize, hashed } = this.captured.bytes;
    if (pageSize === undefined) return { kind: 'stream', open: () => this.pieces() };
    const pageCount = size / pageSize;
    return {
      kind: 'paged',
      pageSize,
      pageCount,
      ...(hashed === undefined ? {} : { hashed }),
      read: (first, count) => {
        assert(first >= 0 && count > 0 && first + count <= pageCount, 'pages inside the database are asked for');
        assert(count * pageSize <= MAX_READ, 'at most 4 MiB are asked for');
        return this.read(first * pageSize, count * pageSize);
      },
    };
  }

  private async *pieces(): AsyncIterable<Uint8Array> {
    const { size } = this.captured.bytes;
    for (let offset = 0; offset < size; offset += STREAM_PIECE) {
      yield await this.read(offset, Math.min(STREAM_PIECE, size - offset));
    }
  }

  private async read(offset: number, length: number): Promise<Uint8Array> {
    if (this.buffer.length < length) this.buffer = Buffer.allocUnsafeSlow(length);
    const into = this.buffer.subarray(0, length);
    await this.captured.bytes.read(into, offset);
    return into;
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
  if (error instanceof SourceMoved) return error;
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
