import { systemClock } from '@foodsave-backup/kernel';
import {
  ALL_PAGES,
  BUSY_SLICE_MS,
  immutableUri,
  resultName,
  SqliteError,
  type PendingOverwrite,
  type Row,
  type SqliteBinding,
  type SqliteConnection,
  type SqliteOpenOptions,
  type StepPolicy,
  type StepProgress,
} from './binding.ts';

type Callback<T = unknown> = (error: Error | null | undefined, value: T) => void;

// The published types of node-sqlite3 leave out the backup API and `configure`; this is the part that is used here.
interface NativeBackup {
  readonly remaining: number;
  readonly pageCount: number;
  readonly failed: boolean;
  step(pages: number, callback: Callback<boolean>): void;
  finish(callback: () => void): void;
}
interface NativeDatabase {
  configure(option: 'busyTimeout', value: number): void;
  exec(sql: string, callback: Callback): void;
  all(sql: string, callback: Callback<Row[]>): void;
  close(callback: Callback): void;
  backup(file: string, callback: Callback): NativeBackup;
  backup(file: string, target: string, source: string, fileIsTarget: boolean, callback: Callback): NativeBackup;
}
interface NativeModule {
  readonly VERSION: string;
  readonly OPEN_READONLY: number;
  readonly OPEN_READWRITE: number;
  readonly OPEN_FULLMUTEX: number;
  readonly OPEN_URI: number;
  readonly Database: new (file: string, mode: number, callback: Callback) => NativeDatabase;
}

function call<T>(start: (callback: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => {
      if (error === null || error === undefined) resolve(value);
      else reject(normalise(error));
    });
  });
}

/** Primary result codes (sqlite.org/rescode.html) that this software tells apart. */
const RESULT_NAMES: Readonly<Record<number, string>> = {
  3: 'PERM',
  5: 'BUSY',
  6: 'LOCKED',
  7: 'NOMEM',
  8: 'READONLY',
  10: 'IOERR',
  11: 'CORRUPT',
  13: 'FULL',
  14: 'CANTOPEN',
  15: 'PROTOCOL',
  26: 'NOTADB',
};

/** By number: for extended codes, which the backup API returns, node-sqlite3 knows no name ("UNKNOWN"). */
function normalise(error: Error): Error {
  const { errno, code }: { errno?: unknown; code?: unknown } = error as { errno?: unknown; code?: unknown };
  const name = typeof errno === 'number' ? RESULT_NAMES[errno & 0xff] : undefined;
  const known = name === undefined ? undefined : `SQLITE_${name}`;
  const message = error.message.replace(/^(SQLITE_[A-Z]+|UNKNOWN): /, '');
  return new SqliteError(known ?? (typeof code === 'string' ? code : 'SQLITE_ERROR'), message);
}

/** The binding `sqlite3` (node-sqlite3): calls run on the thread pool. Throws where the native module cannot be loaded. */
export async function loadSqlite3(): Promise<SqliteBinding> {
  // An optional dependency: where it could not be compiled it is not installed, and must not be missed by the compiler.
  const name = 'sqlite3' as string;
  const loaded = (await import(name)) as { default: NativeModule };
  const native = loaded.default;
  return {
    name: 'sqlite3',
    immutable: true,
    version: native.VERSION,
    open: (file, options) => open(native, file, options),
    beginOverwrite: (live, staged, busyTimeoutMs) => beginOverwrite(native, live, staged, busyTimeoutMs),
  };
}

async function openNative(native: NativeModule, file: string, options: SqliteOpenOptions): Promise<NativeDatabase> {
  const immutable = options.mode === 'immutable';
  const access = options.mode === 'readwrite' ? native.OPEN_READWRITE : native.OPEN_READONLY;
  const how = access | native.OPEN_FULLMUTEX | (immutable ? native.OPEN_URI : 0);
  const database = await new Promise<NativeDatabase>((resolve, reject) => {
    const opened = new native.Database(immutable ? immutableUri(file) : file, how, (error) => {
      if (error === null || error === undefined) resolve(opened);
      else reject(normalise(error));
    });
  });
  database.configure('busyTimeout', options.busyTimeoutMs);
  return database;
}

async function open(native: NativeModule, file: string, options: SqliteOpenOptions): Promise<SqliteConnection> {
  const database = await openNative(native, file, options);
  return {
    async exec(sql) {
      await call((done) => {
        database.exec(sql, done);
      });
    },
    all: (sql) =>
      call((done) => {
        database.all(sql, done);
      }),
    async close() {
      await call((done) => {
        database.close(done);
      });
    },
    async backupTo(target, policy) {
      const backup = await begin((done) => database.backup(target, done));
      database.configure('busyTimeout', BUSY_SLICE_MS);
      try {
        await runSteps(backup, policy, options.busyTimeoutMs);
      } finally {
        await finish(backup);
        database.configure('busyTimeout', options.busyTimeoutMs);
      }
    },
  };
}

async function beginOverwrite(
  native: NativeModule,
  live: string,
  staged: string,
  busyTimeoutMs: number,
): Promise<PendingOverwrite> {
  const database = await openNative(native, live, { mode: 'readwrite', busyTimeoutMs: BUSY_SLICE_MS });
  let backup: NativeBackup | undefined;
  const end = async (): Promise<void> => {
    if (backup !== undefined) await finish(backup);
    await call((done) => {
      database.close(done);
    });
  };
  try {
    const [row] = await allInTime(database, 'PRAGMA schema_version', busyTimeoutMs);
    const begun = await begin((done) => database.backup(staged, 'main', 'main', false, done));
    backup = begun;
    // No pages: the lock, and how many there are.
    let { done } = await stepInTime(begun, 0, busyTimeoutMs);
    if (begun.remaining > 1) ({ done } = await stepInTime(begun, begun.remaining - 1, busyTimeoutMs));
    if (done || begun.failed || begun.remaining !== 1) {
      throw new SqliteError('SQLITE_ERROR', 'the backup could not be prepared');
    }
    return {
      schemaVersion: Number(row?.['schema_version']),
      async commit() {
        try {
          const last = await stepInTime(begun, ALL_PAGES, busyTimeoutMs);
          if (!last.done) throw new SqliteError('SQLITE_ERROR', 'the backup did not end');
        } finally {
          await end();
        }
      },
      abandon: end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

async function allInTime(database: NativeDatabase, sql: string, busyTimeoutMs: number): Promise<Row[]> {
  const deadline = systemClock.monotonic() + busyTimeoutMs;
  for (;;) {
    try {
      return await call<Row[]>((done) => {
        database.all(sql, done);
      });
    } catch (error) {
      if (resultName(error) !== 'BUSY' || systemClock.monotonic() >= deadline) throw error;
    }
  }
}

async function begin(start: (done: Callback) => NativeBackup): Promise<NativeBackup> {
  let backup: NativeBackup | undefined;
  await call((done) => {
    backup = start(done);
  });
  if (backup === undefined) throw new SqliteError('SQLITE_ERROR', 'the backup did not start');
  return backup;
}

function finish(backup: NativeBackup): Promise<void> {
  return new Promise((resolve) => {
    backup.finish(resolve);
  });
}

async function runSteps(backup: NativeBackup, policy: StepPolicy, busyTimeoutMs: number): Promise<void> {
  let last: StepProgress | undefined;
  for (;;) {
    const { pages, pauseMs } = policy.next(last);
    if (pauseMs > 0) await systemClock.sleep(pauseMs);
    const { done, elapsedMs } = await stepInTime(backup, pages, busyTimeoutMs);
    if (done) {
      policy.done?.(elapsedMs);
      return;
    }
    // A copy that could not even begin reports neither an error nor progress, for ever.
    if (backup.failed) throw new SqliteError('SQLITE_ERROR', 'the backup could not be started');
    last = { remaining: backup.remaining, total: backup.pageCount, elapsedMs };
  }
}

/** One step, tried again while the lock is taken; only the try that got it counts as elapsed. */
async function stepInTime(
  backup: NativeBackup,
  pages: number,
  busyTimeoutMs: number,
): Promise<{ done: boolean; elapsedMs: number }> {
  const deadline = systemClock.monotonic() + busyTimeoutMs;
  for (;;) {
    const started = systemClock.monotonic();
    try {
      const done = await call<boolean>((callback) => {
        backup.step(pages, callback);
      });
      return { done, elapsedMs: systemClock.monotonic() - started };
    } catch (error) {
      const name = resultName(error);
      const locked = name === 'BUSY' || name === 'LOCKED';
      if (!locked || backup.failed || systemClock.monotonic() >= deadline) throw error;
    }
  }
}
