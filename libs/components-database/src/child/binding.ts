import { pathToFileURL } from 'node:url';
import { BackupError } from '@foodsave-backup/kernel';

/** One row of a result; integers beyond 2^53 lose precision, which no count of rows reaches. */
export type Row = Readonly<Record<string, unknown>>;

/** What one step of the backup API did. `total` is 0 until the first step that got the locks. */
export interface StepProgress {
  remaining: number;
  total: number;
  /** Milliseconds that the step took, which is how long it kept the source's lock when nothing pins it. */
  elapsedMs: number;
}

/** Decides how the backup API goes on. Throwing from it abandons the copy. */
export interface StepPolicy {
  /** `last` is absent before the first step. `pages` is at least 1, `pauseMs` the time without a lock before the step. */
  next(last: StepProgress | undefined): { pages: number; pauseMs: number };
  /** The last step, after which there is no next one, took so many milliseconds. */
  done?(elapsedMs: number): void;
}

/**
 * How long SQLite itself waits for a lock inside one step, in milliseconds; the bindings try again until the busy timeout.
 * SQLite's own wait looks every 100 ms after a while, and never meets the short gaps that a steady writer leaves.
 */
export const BUSY_SLICE_MS = 50;

/** A count of pages that no database reaches: copies all that is left in one step. */
export const ALL_PAGES = 0x7fff_ffff;

export interface SqliteConnection {
  exec(sql: string): Promise<void>;
  all(sql: string): Promise<Row[]>;
  /**
   * Copies the main database over `file` with the backup API (sqlite.org/backup.html). Within an open read transaction of
   * this connection the copy is of that transaction's snapshot. Rejects with SQLITE_BUSY when a lock stays taken for longer
   * than the busy timeout; `file` is then unchanged.
   */
  backupTo(file: string, policy: StepPolicy): Promise<void>;
  close(): Promise<void>;
}

export interface SqliteOpenOptions {
  /** `immutable`: without locks, and without a log or its index beside a file that has none (https://sqlite.org/uri.html). */
  mode: 'readonly' | 'readwrite' | 'immutable';
  busyTimeoutMs: number;
}

/** The little that this software needs of a SQLite library. Errors carry SQLite's name of the result in `code`. */
export interface SqliteBinding {
  readonly name: BindingName;
  /** Whether it can open a file that nobody writes without locks (`immutable`). */
  readonly immutable: boolean;
  /** The version of the SQLite library, e.g. `3.52.0`. */
  readonly version: string;
  /** Opens an existing file; never creates one. */
  open(file: string, options: SqliteOpenOptions): Promise<SqliteConnection>;
  /**
   * Begins to replace the content of the database `live` by that of `staged` with the backup API, in one transaction which open
   * connections see at their next one: copies all pages but the last and keeps the lock for writing. Rejects with SQLITE_BUSY,
   * `live` unchanged, when the lock cannot be had in time.
   */
  beginOverwrite(live: string, staged: string, busyTimeoutMs: number): Promise<PendingOverwrite>;
}

/** A transaction in which all but the last page has been copied. Ends with this process, and with it the lock. */
export interface PendingOverwrite {
  /** `PRAGMA schema_version` of the old content; the backup API makes it one more. */
  readonly schemaVersion: number;
  /** Copies the last page and commits. Rejects with the old content in place. */
  commit(): Promise<void>;
  /** Rolls back. */
  abandon(): Promise<void>;
}

export type BindingName = 'sqlite3' | 'better-sqlite3';
export type BindingChoice = 'auto' | BindingName;

/** Below it, a checkpoint beside a writer could corrupt a WAL database (sqlite.org/wal.html, the WAL-reset bug). */
const MINIMUM_SQLITE = '3.51.3';

/** The name under which SQLite opens a file as one that nobody writes. */
export function immutableUri(file: string): string {
  return `${pathToFileURL(file).href}?immutable=1`;
}

/** The same shape for the errors of both bindings. */
export class SqliteError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'SqliteError';
    this.code = code;
  }
}

/** The primary result code by name, without the prefix (`BUSY`, `NOTADB`), or `undefined` for any other error. */
export function resultName(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const code: unknown = (error as { code?: unknown }).code;
  if (typeof code !== 'string') return undefined;
  return /^SQLITE_([A-Z0-9]+)/.exec(code)?.[1];
}

/** Throws COMPONENT_FAILED for a library that is too old to be trusted with somebody's data. */
export function assertSqliteVersion(version: string): void {
  const parts = (text: string): number[] => text.split('.').map(Number);
  const [have, need] = [parts(version), parts(MINIMUM_SQLITE)];
  for (let i = 0; i < need.length; i++) {
    const difference = (have[i] ?? 0) - (need[i] ?? 0);
    if (difference > 0) return;
    if (Number.isNaN(difference) || difference < 0) {
      throw new BackupError('COMPONENT_FAILED', `SQLite ${version} is older than ${MINIMUM_SQLITE}`, {
        hint: 'Install the dependencies again with npm ci, so that the locked SQLite binding is used.',
      });
    }
  }
}
