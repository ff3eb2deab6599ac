import { open, realpath, rm } from 'node:fs/promises';
import { BackupError, printable } from '@foodsave-backup/kernel';
import { parseHeader, type SqliteHeader } from '../header.ts';
import { resultName, SqliteError, type SqliteBinding, type SqliteConnection } from './binding.ts';
import { notAFile, sourceError } from './errors.ts';
import { copyQuietly, readHeader, removeSidecars, statIfThere } from './files.ts';
import type { CaptureMethod, CaptureResult, ChildOperations } from './protocol.ts';
import { BoundedSteps, pinnedSteps } from './steps.ts';

type CaptureRequest = ChildOperations['capture']['request'];
type Attempt = Pick<CaptureResult, 'method' | 'longestStallMs' | 'restarts'>;

interface Capture extends CaptureRequest {
  binding: SqliteBinding;
  /** The source without symbolic links, beside which SQLite keeps its log and journal. */
  source: string;
  onPinned: () => void;
}

/** How often a source is looked at again that somebody else changed between a look and a copy. */
const MAX_ATTEMPTS = 8;

/**
 * Makes a consistent private copy of a database that others may be writing, and changes nothing of the source: it is opened
 * read-only (a read-write last closer would checkpoint and delete the log), never checkpointed and never recovered in place.
 * Throws SOURCE_MISSING, SOURCE_UNREADABLE, SOURCE_LOCKED, SOURCE_CORRUPT, SOURCE_CHANGED or NO_SPACE.
 */
export async function captureDatabase(
  binding: SqliteBinding,
  request: CaptureRequest,
  onPinned: () => void,
): Promise<CaptureResult> {
  try {
    const capture: Capture = { ...request, binding, onPinned, source: await realpath(request.path) };
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const header = await lookAt(capture.source, request.path);
      const done = await attemptCapture(capture, header);
      if (done !== undefined) {
        return { ...done, journalMode: header?.wal === true ? 'wal' : 'rollback', binding: binding.name };
      }
      await clearSnapshot(request.snapshot);
    }
    throw new BackupError('SOURCE_CHANGED', `${printable(request.path)} changed each time it was copied`, {
      hint: 'Give this user write access to the directory of the database, so that SQLite can share its locks.',
    });
  } catch (error) {
    throw sourceError(error, request.path);
  }
}

/** The header of a source that can be captured; `undefined` for one of zero bytes. Throws for anything else. */
export async function lookAt(source: string, shownAs: string): Promise<SqliteHeader | undefined> {
  const found = await statIfThere(source);
  if (found === undefined) throw sourceError(Object.assign(new Error('no such file'), { code: 'ENOENT' }), shownAs);
  if (!found.isFile()) throw notAFile(shownAs);
  if (found.size === 0n) return undefined;
  const header = parseHeader(await readHeader(source));
  if (header === undefined) throw new SqliteError('SQLITE_NOTADB', 'file is not a database');
  return header;
}

/** One try; `undefined` when somebody changed the source in the middle, so that it must be looked at again. */
async function attemptCapture(capture: Capture, header: SqliteHeader | undefined): Promise<Attempt | undefined> {
  if (header === undefined) return captureEmpty(capture);
  // A WAL database without a log is not in use: whoever reads it creates one first. It is copied without being opened, since
  // even a read-only connection would leave a log and its index behind.
  if (header.wal && (await statIfThere(`${capture.source}-wal`)) === undefined) return captureQuietly(capture);
  try {
    return header.wal ? await capturePinned(capture, header) : await captureInSteps(capture, header);
  } catch (error) {
    await clearSnapshot(capture.snapshot);
    const name = resultName(error);
    // A hot journal, or a log whose index this user may not write: SQLite would have to write here, so a copy is recovered.
    if (name === 'READONLY' || name === 'CANTOPEN') return captureQuietly(capture);
    if (name === 'CORRUPT') return captureDamaged(capture, error);
    throw error;
  }
}

async function capturePinned(capture: Capture, header: SqliteHeader): Promise<Attempt> {
  return withConnection(capture, async (connection) => {
    await connection.exec('BEGIN');
    // Takes the read lock without reading the schema, which may be damaged.
    await connection.all('PRAGMA schema_version');
    capture.onPinned();
    await createPrivate(capture.snapshot);
    await connection.backupTo(capture.snapshot, pinnedSteps(capture.source, header.pageSize));
    await connection.exec('ROLLBACK');
    return { method: 'pinned', longestStallMs: 0, restarts: 0 };
  });
}

async function captureInSteps(capture: Capture, header: SqliteHeader): Promise<Attempt> {
  return withConnection(capture, async (connection) => {
    await createPrivate(capture.snapshot);
    const steps = new BoundedSteps(header.pageSize, capture.snapshot, capture.onPinned);
    await connection.backupTo(capture.snapshot, steps);
    const method: CaptureMethod = steps.usedFullPass ? 'full-pass' : 'steps';
    return { method, longestStallMs: Math.ceil(steps.longestStallMs), restarts: steps.restarts };
  });
}

/** A copy that nobody wrote meanwhile, recovered in private where it needs it. */
async function captureQuietly(capture: Capture): Promise<Attempt | undefined> {
  capture.onPinned();
  if (!(await copyQuietly(capture.source, capture.snapshot))) return undefined;
  const { snapshot, binding, busyTimeoutMs } = capture;
  if (await hasSidecar(snapshot)) {
    // Reading rolls a hot journal back; a log is folded into the file, which keeps its mode.
    const connection = await binding.open(snapshot, { mode: 'readwrite', busyTimeoutMs });
    try {
      await connection.all('PRAGMA schema_version');
      await connection.all('PRAGMA wal_checkpoint(TRUNCATE)');
    } finally {
      await connection.close();
    }
    await removeSidecars(snapshot);
  }
  return { method: 'quiet-copy', longestStallMs: 0, restarts: 0 };
}

/** What SQLite refuses to read is kept as it is, if it is one file that nobody writes; its facts will say that it is damaged. */
async function captureDamaged(capture: Capture, reason: unknown): Promise<Attempt | undefined> {
  if (await hasSidecar(capture.source)) throw reason;
  capture.onPinned();
  if (!(await copyQuietly(capture.source, capture.snapshot))) return undefined;
  await removeSidecars(capture.snapshot);
  return { method: 'damaged-copy', longestStallMs: 0, restarts: 0 };
}

/** A file of zero bytes is a database without tables: the copy is one of a single page, which means the same. */
async function captureEmpty(capture: Capture): Promise<Attempt | undefined> {
  const stillEmpty = await withConnection(capture, async (connection) => {
    // Finds out about locks: somebody may be about to create the first table.
    const [row] = await connection.all('PRAGMA page_count');
    return row?.['page_count'] === 0;
  });
  if (!stillEmpty) return undefined;
  capture.onPinned();
  await createPrivate(capture.snapshot);
  const { snapshot, binding, busyTimeoutMs } = capture;
  const connection = await binding.open(snapshot, { mode: 'readwrite', busyTimeoutMs });
  try {
    await connection.exec('PRAGMA user_version = 0');
  } finally {
    await connection.close();
  }
  return { method: 'empty', longestStallMs: 0, restarts: 0 };
}

async function withConnection<T>(capture: Capture, use: (connection: SqliteConnection) => Promise<T>): Promise<T> {
  const { source, busyTimeoutMs, binding } = capture;
  const connection = await binding.open(source, { mode: 'readonly', busyTimeoutMs });
  try {
    return await use(connection);
  } finally {
    await connection.close();
  }
}

/** SQLite would create it with the mode of the umask. */
async function createPrivate(path: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  await file.close();
}

async function clearSnapshot(path: string): Promise<void> {
  await rm(path, { force: true });
  await removeSidecars(path);
}

async function hasSidecar(path: string): Promise<boolean> {
  for (const suffix of ['-wal', '-journal']) {
    const found = await statIfThere(path + suffix);
    if (found !== undefined && found.size > 0n) return true;
  }
  return false;
}
