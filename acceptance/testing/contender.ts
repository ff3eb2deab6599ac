import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';

/**
 * A process of an application that never stops: `contender.ts reader|writer sqlite3|better-sqlite3 FILES DATABASE…`. It reads, or
 * writes, every database in a transaction of its own, over and over, with connections that stay open, and checks in each
 * transaction that it sees one state. A line on stdin is a mark: the first whole round that begins after it is told on stdout as
 * `{ mark, generations, rounds, busy }`. Anything that must not happen is told as `{ problem }`, and ends it.
 */
interface Connection {
  exec(sql: string): Promise<unknown>;
  row(sql: string): Promise<Record<string, number>>;
}

const BUSY_MS = 50;
const ROWS = 200;
const BYTES = 40_000;

function withBetterSqlite3(path: string): Connection {
  const db = new Database(path, { timeout: BUSY_MS, fileMustExist: true });
  const later = <T>(work: () => T): Promise<T> => Promise.resolve().then(work);
  return {
    exec: (sql) => later(() => db.exec(sql)),
    row: (sql) => later(() => db.prepare<[], Record<string, number>>(sql).get() ?? {}),
  };
}

interface NodeSqlite3 {
  Database: new (path: string, mode: number, done: (error: Error | null) => void) => NodeSqlite3Database;
  OPEN_READWRITE: number;
}
interface NodeSqlite3Database {
  configure(option: 'busyTimeout', value: number): void;
  exec(sql: string, done: (error: Error | null) => void): void;
  get(sql: string, done: (error: Error | null, row: Record<string, number>) => void): void;
}

async function withSqlite3(path: string): Promise<Connection> {
  // An optional dependency, which the compiler must not miss.
  const name = 'sqlite3' as string;
  const { default: native } = (await import(name)) as { default: NodeSqlite3 };
  const db = await new Promise<NodeSqlite3Database>((resolve, reject) => {
    const opened = new native.Database(path, native.OPEN_READWRITE, (error) => {
      if (error === null) resolve(opened);
      else reject(error);
    });
  });
  db.configure('busyTimeout', BUSY_MS);
  const settle = <T>(start: (done: (error: Error | null, value: T) => void) => void): Promise<T> =>
    new Promise((resolve, reject) => {
      start((error, value) => {
        if (error === null) resolve(value);
        else reject(error);
      });
    });
  return {
    exec: (sql) =>
      settle<undefined>((done) => {
        db.exec(sql, (error) => {
          done(error, undefined);
        });
      }),
    row: (sql) =>
      settle((done) => {
        db.get(sql, done);
      }),
  };
}

class Problem extends Error {}

/** The generation of what this transaction sees; throws a Problem unless every table agrees. */
async function generationOf(db: Connection): Promise<number> {
  const state = await db.row(
    'SELECT count(*) rows, min(generation) low, max(generation) high, min(commits) least, max(commits) most FROM state',
  );
  const log = await db.row('SELECT count(*) rows, coalesce(max(n), 0) last FROM log');
  const schema = await db.row("SELECT count(*) tables FROM sqlite_schema WHERE name = 'only_in_2'");
  const { low = 0 } = state;
  const one = state['high'] === low && state['least'] === state['most'] && state['rows'] === ROWS * low;
  const logged = log['rows'] === state['most'] && log['last'] === state['most'];
  if (one && logged && schema['tables'] === low - 1) return low;
  throw new Problem(`a mixed state: ${JSON.stringify({ state, log, schema })}`);
}

async function transaction(db: Connection, begin: string, work: () => Promise<number>): Promise<number> {
  await db.exec(begin);
  try {
    const result = await work();
    await db.exec('COMMIT');
    return result;
  } catch (error) {
    await db.exec('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

function write(db: Connection): Promise<number> {
  return transaction(db, 'BEGIN IMMEDIATE', async () => {
    const generation = await generationOf(db);
    await db.exec('UPDATE state SET commits = commits + 1; INSERT INTO log (n) SELECT count(*) + 1 FROM log');
    return generation;
  });
}

/** Each file is whole: of one generation from its first byte to its last. */
function readFiles(directory: string): void {
  for (const name of ['a', 'b']) {
    const bytes = readFileSync(join(directory, name));
    const generation = (bytes[0] ?? 0) - 48;
    const whole = bytes.length === BYTES * generation && bytes.every((byte) => byte === generation + 48);
    if (!whole) throw new Problem(`"${name}" is neither the old nor the new file: ${bytes.length} bytes`);
  }
}

const [role = '', binding = '', files = '', ...paths] = process.argv.slice(2);
const connections: Connection[] = [];
for (const path of paths) connections.push(binding === 'sqlite3' ? await withSqlite3(path) : withBetterSqlite3(path));
const marks: string[] = [];
// Whoever started it is gone: nobody else would end it.
process.stdin.on('end', () => process.exit(1));
process.stdin.on('data', (text: Buffer) => marks.push(...text.toString().split('\n').filter(Boolean)));
let rounds = 0;
let busy = 0;

async function round(): Promise<number[]> {
  const generations: number[] = [];
  for (const db of connections) {
    for (;;) {
      try {
        const seen = role === 'writer' ? write(db) : transaction(db, 'BEGIN', () => generationOf(db));
        generations.push(await seen);
        break;
      } catch (error) {
        const code = (error as { code?: unknown }).code;
        if (typeof code !== 'string' || !code.startsWith('SQLITE_BUSY')) throw error;
        busy++;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
  }
  readFiles(files);
  return generations;
}

try {
  process.stdout.write('{"ready":true}\n');
  for (;;) {
    const mark = marks.shift();
    const generations = await round();
    rounds++;
    if (mark !== undefined) process.stdout.write(`${JSON.stringify({ mark, generations, rounds, busy })}\n`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
} catch (error) {
  process.stdout.write(`${JSON.stringify({ problem: error instanceof Error ? error.message : String(error) })}\n`);
  process.exitCode = 1;
}
