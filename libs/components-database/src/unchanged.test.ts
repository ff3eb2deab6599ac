import { copyFile, rename, utimes } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import type { Component, ComponentFacts, DumpEntry, PreviousEntry } from '@foodsave-backup/component';
import { systemClock, type Clock } from '@foodsave-backup/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDatabaseDriver } from './driver.ts';
import type { DatabaseConfig } from './config.ts';
import { dumpRun, inMemory, readDump, Sandbox } from './testing/fixtures.ts';

let sandbox: Sandbox;
let open: Database.Database[] = [];

beforeEach(async () => {
  sandbox = await Sandbox.create();
});
afterEach(async () => {
  for (const database of open) database.close();
  open = [];
  await sandbox.remove();
});

/** For it every file is old enough to be trusted: the times of files are finer here than the two seconds that are waited for. */
const AHEAD: Clock = { ...systemClock, now: () => systemClock.now() + 60_000 };
/** More than the granularity of file times in Linux, the timer tick. */
const tick = (): Promise<void> => sleep(30);

function connect(): Database.Database {
  const database = new Database(sandbox.database);
  open.push(database);
  return database;
}

function component(clock: Clock = AHEAD, config: Partial<DatabaseConfig> = {}): Component {
  const context = { baseDir: sandbox.root, scratchDir: sandbox.scratchDir, clock, env: {}, encrypted: true };
  return createDatabaseDriver({ binding: 'better-sqlite3' }).open(
    'database:main',
    { driver: 'sqlite', path: './data/app.db', ...config },
    context,
  );
}

interface Taken {
  entry: DumpEntry;
  facts: ComponentFacts;
  /** Rows as JSON; undefined when it was found unchanged. */
  rows: string | undefined;
}

/** A backup, as the engine would make it after the one before. */
async function take(before?: Taken, one = component()): Promise<Taken> {
  const previous: PreviousEntry | undefined = before && {
    kind: 'file',
    size: before.entry.size,
    meta: before.entry.meta,
  };
  const run = { ...dumpRun(), previous: () => previous, ...(before ? { previousFacts: before.facts } : {}) };
  const dump = await one.openDump(run);
  try {
    for await (const entry of dump.entries()) {
      if (entry.kind === 'file' && entry.unchanged === true)
        return { entry, facts: await dump.facts(), rows: undefined };
    }
    const { entry, bytes, facts } = await readDump(dump);
    return { entry, facts, rows: rowsIn(inMemory(bytes)) };
  } finally {
    await dump.close();
  }
}

function rowsIn(database: Database.Database): string {
  return JSON.stringify(database.prepare('SELECT id, text FROM t ORDER BY id').all());
}

const CREATE = "CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO t (text) VALUES ('first')";
const INSERT = "INSERT INTO t (text) VALUES ('next')";

describe.each(['wal', 'delete', 'persist'])('a database in %s mode', (mode) => {
  it('that nobody wrote to is found unchanged, with the facts of the capture', async () => {
    connect().exec(`PRAGMA journal_mode = ${mode}; ${CREATE}`);
    await tick();
    const first = await take();
    const again = await take(first);
    expect(again).toMatchObject({ entry: { unchanged: true, size: first.entry.size }, rows: undefined });
    const { captureMethod: _method, capturedAt, longestStallMs: _stall, ...rest } = first.facts;
    expect(again.facts).toMatchObject({ ...rest, captureMethod: 'unchanged', unchangedSince: capturedAt });
    expect(again.facts.capturedAt >= capturedAt).toBe(true);
    const third = await take({ ...again, entry: first.entry });
    expect(third.facts).toMatchObject({ captureMethod: 'unchanged', unchangedSince: capturedAt });
  });

  it.each<[string, (database: Database.Database) => void | Promise<void>]>([
    ['a commit', (database) => void database.exec(INSERT)],
    ['a commit that ends as long as before', (database) => void database.exec("UPDATE t SET text = 'FIRST'")],
    ['a checkpoint', (database) => void database.pragma('wal_checkpoint(TRUNCATE)')],
    ['a touched file', () => utimes(sandbox.database, 1_700_000_000, 1_700_000_000)],
    [
      'another file with the same times',
      async (database) => {
        database.close();
        await copyFile(sandbox.database, `${sandbox.database}.new`);
        await rename(`${sandbox.database}.new`, sandbox.database);
      },
    ],
  ])('is captured again after %s', async (what, change) => {
    const database = connect();
    database.exec(`PRAGMA journal_mode = ${mode}; ${CREATE}`);
    await tick();
    const first = await take();
    await tick();
    await change(database);
    const again = await take(first);
    if (what === 'a checkpoint' && mode !== 'wal') expect(again.rows).toBeUndefined();
    else expect(again.rows).toBe(rowsIn(connect()));
  });

  it('is never found unchanged when its rows are others, over 28 steps of writers that come and go', async () => {
    // It stays open: where root opens a database, SQLite changes the change time of its log.
    const reader = connect();
    reader.exec(`PRAGMA journal_mode = ${mode}; ${CREATE}`);
    connect();
    let last = await take();
    let rows = last.rows;
    let skipped = 0;
    for (let step = 0; step < 28; step++) {
      await tick();
      // A fixed sequence in which each step follows each other one.
      const kind = (step * step + 3 * step) % 7;
      const database = open.at(-1)?.open === true ? open.at(-1) : connect();
      if (kind === 0) database?.exec(INSERT);
      else if (kind === 1) rowsIn(database ?? connect());
      else if (kind === 2) database?.exec(`BEGIN; ${INSERT}; ROLLBACK`);
      else if (kind === 3) database?.pragma('wal_checkpoint(RESTART)');
      else if (kind === 4) database?.close();
      else if (kind === 5) database?.exec('DELETE FROM t WHERE id % 5 = 4');
      const next = await take(last);
      const now = rowsIn(reader);
      if (next.rows === undefined) skipped++;
      else rows = next.rows;
      expect(rows, `step ${String(step)}`).toBe(now);
      last = next.rows === undefined ? { ...next, entry: last.entry } : next;
    }
    expect(skipped).toBeGreaterThan(3);
  }, 120_000);
});

it('is not trusted when it changed just before: a commit could follow within the same tick', async () => {
  connect().exec(`PRAGMA journal_mode = wal; ${CREATE}`);
  const first = await take(undefined, component(systemClock));
  expect(first.facts).not.toHaveProperty('sourceState');
  expect((await take(first, component(systemClock))).rows).toBe(first.rows);
});

it('is captured again when another integrity check is asked for, and when the older backup is not whole', async () => {
  connect().exec(`PRAGMA journal_mode = wal; ${CREATE}`);
  await tick();
  const quick = component(AHEAD, { integrityCheck: 'quick' });
  const first = await take(undefined, quick);
  expect((await take(first, quick)).rows).toBeUndefined();
  const full = await take(first);
  expect(full.rows).toBe(first.rows);
  // The full check says all that the quick one does.
  expect((await take(full, quick)).rows).toBeUndefined();
  const dump = await component().openDump({ ...dumpRun(), previousFacts: first.facts });
  const { entry } = await readDump(dump);
  await dump.close();
  expect(entry.unchanged).toBeUndefined();
});
