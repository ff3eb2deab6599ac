import type BetterSqlite3 from 'better-sqlite3';
import { systemClock } from '@foodsave-backup/kernel';
import {
  ALL_PAGES,
  BUSY_SLICE_MS,
  SqliteError,
  type PendingOverwrite,
  type Row,
  type SqliteBinding,
  type SqliteConnection,
  type SqliteOpenOptions,
  type StepPolicy,
} from './binding.ts';

type Constructor = typeof BetterSqlite3;
type Database = BetterSqlite3.Database;

const RETRY_MS = 25;

/** The binding `better-sqlite3`: calls block this process, which is why only the child uses it for the application's data. */
export async function loadBetterSqlite3(): Promise<SqliteBinding> {
  const Native = (await import('better-sqlite3')).default;
  const memory = new Native(':memory:');
  const version = String(memory.prepare('SELECT sqlite_version()').pluck().get());
  memory.close();
  return {
    name: 'better-sqlite3',
    // It does not take names that are URIs.
    immutable: false,
    version,
    // Not async functions with a body that throws synchronously: every failure is a rejection.
    open: (file, options) => Promise.resolve().then(() => open(Native, file, options)),
    beginOverwrite: (live, staged, busyTimeoutMs) => beginOverwrite(Native, live, staged, busyTimeoutMs),
  };
}

function openNative(Native: Constructor, file: string, options: SqliteOpenOptions): Database {
  assertSafeName(file);
  return new Native(file, {
    readonly: options.mode !== 'readwrite',
    fileMustExist: true,
    timeout: options.busyTimeoutMs,
  });
}

function open(Native: Constructor, file: string, options: SqliteOpenOptions): SqliteConnection {
  const database = openNative(Native, file, options);
  const later = <T>(work: () => T): Promise<T> => Promise.resolve().then(work);
  return {
    exec: (sql) =>
      later(() => {
        database.exec(sql);
      }),
    all: (sql) =>
      later(() => {
        const statement = database.prepare(sql);
        if (statement.reader) return statement.all() as Row[];
        statement.run();
        return [];
      }),
    close: () =>
      later(() => {
        database.close();
      }),
    backupTo: (target, policy) => steps(database, target, policy, options.busyTimeoutMs),
  };
}

async function steps(database: Database, target: string, policy: StepPolicy, busyTimeoutMs: number): Promise<void> {
  assertSafeName(target);
  database.pragma(`busy_timeout = ${String(BUSY_SLICE_MS)}`);
  try {
    const deadline = systemClock.monotonic() + busyTimeoutMs;
    for (;;) {
      const pass = new Pass(policy, busyTimeoutMs);
      const result = await database.backup(target, { progress: (progress) => pass.next(progress) });
      // Called complete although no page was ever counted: the very first lock could not be had.
      if (result.totalPages > 0) {
        pass.done();
        return;
      }
      if (systemClock.monotonic() >= deadline) throw busy();
    }
  } finally {
    database.pragma(`busy_timeout = ${String(busyTimeoutMs)}`);
  }
}

/**
 * One use of the backup API, which is asked after each step how to go on. better-sqlite3 reports BUSY of a step as a step
 * that copied nothing; what tells it from a restart is that SQLite waited for its whole time slice before.
 */
class Pass {
  private readonly policy: StepPolicy;
  private readonly busyTimeoutMs: number;
  private requested = 0;
  private previous: number | undefined;
  private busySince: number | undefined;
  private started = systemClock.monotonic();

  constructor(policy: StepPolicy, busyTimeoutMs: number) {
    this.policy = policy;
    this.busyTimeoutMs = busyTimeoutMs;
  }

  next({ remainingPages, totalPages }: BetterSqlite3.BackupMetadata): number {
    const now = systemClock.monotonic();
    const elapsedMs = now - this.started;
    const first = this.requested === 0;
    if (!first && remainingPages === this.previous && this.wasBusy(elapsedMs)) {
      this.busySince ??= this.started;
      if (now - this.busySince >= this.busyTimeoutMs) throw busy();
    } else {
      this.busySince = undefined;
      this.previous = remainingPages;
      const last = first ? undefined : { remaining: remainingPages, total: totalPages, elapsedMs };
      const { pages, pauseMs } = this.policy.next(last);
      this.requested = pages;
      // The callback is synchronous; this process has nothing else to do while the application gets its turn.
      if (pauseMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
    }
    this.started = systemClock.monotonic();
    return this.requested;
  }

  /** No progress of a step over everything can only mean a lock; SQLite does not wait for each kind of them. */
  private wasBusy(elapsedMs: number): boolean {
    return this.requested === ALL_PAGES || elapsedMs >= BUSY_SLICE_MS * 0.9;
  }

  done(): void {
    this.policy.done?.(systemClock.monotonic() - this.started);
  }
}

async function beginOverwrite(
  Native: Constructor,
  live: string,
  staged: string,
  busyTimeoutMs: number,
): Promise<PendingOverwrite> {
  assertSafeName(live);
  const schemaVersion = readSchemaVersion(Native, live, busyTimeoutMs);
  const source = openNative(Native, staged, { mode: 'readonly', busyTimeoutMs });
  // The target's lock is taken by the very first step. better-sqlite3 opens the target without a busy handler.
  const deadline = systemClock.monotonic() + busyTimeoutMs;
  try {
    for (;;) {
      const copy = new HeldCopy(source, live);
      if (await copy.ready) return { schemaVersion, commit: () => copy.commit(), abandon: () => copy.abandon() };
      if (systemClock.monotonic() >= deadline) throw busy();
      await systemClock.sleep(RETRY_MS);
    }
  } catch (error) {
    source.close();
    throw error;
  }
}

function readSchemaVersion(Native: Constructor, live: string, busyTimeoutMs: number): number {
  const database = openNative(Native, live, { mode: 'readonly', busyTimeoutMs });
  try {
    return Number(database.pragma('schema_version', { simple: true }));
  } finally {
    database.close();
  }
}

/** A copy over a live database that stops before its last page: steps over no pages keep it, and the lock, until it is told to go on. */
class HeldCopy {
  /** `false`: the lock could not be had, and nothing has begun. */
  readonly ready: Promise<boolean>;
  private readonly source: Database;
  private readonly copied: Promise<BetterSqlite3.BackupMetadata>;
  private order: 'wait' | 'commit' | 'abandon' = 'wait';

  constructor(source: Database, live: string) {
    this.source = source;
    let isReady: (ready: boolean) => void = () => undefined;
    const prepared = new Promise<boolean>((resolve) => (isReady = resolve));
    this.copied = source.backup(live, {
      progress: ({ remainingPages }) => {
        if (remainingPages > 1) return remainingPages - 1;
        isReady(true);
        return this.next();
      },
    });
    // Called complete although no page was ever counted: the very first lock could not be had.
    this.ready = Promise.race([prepared, this.copied.then(() => false)]);
    this.copied.catch(() => undefined);
  }

  private next(): number {
    if (this.order === 'abandon') throw new SqliteError('SQLITE_ABORT', 'the backup was abandoned');
    if (this.order === 'commit') return ALL_PAGES;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    return 0;
  }

  async commit(): Promise<void> {
    this.order = 'commit';
    try {
      const { totalPages, remainingPages } = await this.copied;
      if (totalPages === 0 || remainingPages > 0) throw new SqliteError('SQLITE_ERROR', 'the backup did not end');
    } finally {
      this.source.close();
    }
  }

  async abandon(): Promise<void> {
    this.order = 'abandon';
    await this.copied.catch(() => undefined);
    this.source.close();
  }
}

function busy(): SqliteError {
  return new SqliteError('SQLITE_BUSY', 'database is locked');
}

/** better-sqlite3 trims names, and would open another file than the one that was meant. */
function assertSafeName(file: string): void {
  if (file !== file.trim()) {
    throw new SqliteError('SQLITE_CANTOPEN', 'better-sqlite3 cannot open a file whose name ends with a blank');
  }
}
