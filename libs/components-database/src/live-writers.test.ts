import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BINDINGS, capture, inMemory, Sandbox, sha256 } from './testing/fixtures.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await Sandbox.create();
});
afterEach(async () => {
  await sandbox.remove();
});

function create(journalMode: string, megabytes: number): void {
  const database = new Database(sandbox.database);
  database.pragma(`journal_mode = ${journalMode}`);
  database.exec('CREATE TABLE log (n INTEGER, half INTEGER, payload TEXT, PRIMARY KEY (n, half))');
  database.exec('CREATE TABLE ballast (data BLOB)');
  const insert = database.prepare('INSERT INTO ballast VALUES (randomblob(65536))');
  database.transaction(() => {
    for (let i = 0; i < megabytes * 16; i++) insert.run();
  })();
  database.close();
}

/** Every transaction up to the newest in the copy is whole and none is missing; resolves to the number of the newest. */
function gaplessPrefix(bytes: Buffer): number {
  const copy = inMemory(bytes);
  expect(copy.pragma('integrity_check', { simple: true })).toBe('ok');
  const [row] = copy.prepare('SELECT count(*) AS halves, count(DISTINCT n) AS n, max(n) AS newest FROM log').all();
  const { halves, n, newest } = row as { halves: number; n: number; newest: number };
  expect(n).toBe(newest);
  expect(halves).toBe(2 * newest);
  return newest;
}

describe.each(BINDINGS)('under live writers, with %s', (binding) => {
  it('a WAL database is a gapless prefix with every commit before the call', async () => {
    create('wal', 6);
    const writer = sandbox.writer('steadily', '1');
    await writer.line('committed');
    for (let round = 0; round < 3; round++) {
      const before = writer.committed();
      const { bytes, facts } = await capture(sandbox.component(binding));
      expect(gaplessPrefix(bytes)).toBeGreaterThanOrEqual(before);
      expect(facts).toMatchObject({ captureMethod: 'pinned', integrityCheck: 'ok', longestStallMs: 0 });
    }
    expect(writer.errors()).toEqual([]);
  });

  it('a database with a rollback journal too, and no writer ever fails', async () => {
    create('delete', 6);
    const writer = sandbox.writer('steadily', '1');
    await writer.line('committed');
    for (let round = 0; round < 2; round++) {
      const before = writer.committed();
      const { bytes, facts } = await capture(sandbox.component(binding));
      expect(gaplessPrefix(bytes)).toBeGreaterThanOrEqual(before);
      expect(facts['captureMethod']).toMatch(/^(steps|full-pass)$/);
      expect(facts['longestStallMs']).toBeGreaterThan(0);
    }
    await writer.line('committed', writer.lines.length);
    expect(writer.errors()).toEqual([]);
  });

  it('a rollback database whose writer never rests is taken in one pass after a bounded number of restarts', async () => {
    create('truncate', 4);
    const writer = sandbox.writer('steadily', '0');
    await writer.line('committed');
    const { bytes, facts } = await capture(sandbox.component(binding));
    gaplessPrefix(bytes);
    expect(facts['restarts']).toBeLessThanOrEqual(4);
    expect(writer.errors()).toEqual([]);
  });
});

it("does not checkpoint or delete the application's log, nor write to its database", async () => {
  create('wal', 1);
  const writer = sandbox.writer(
    'hold',
    "PRAGMA wal_autocheckpoint = 0; INSERT INTO log VALUES (1, 1, 'a'), (1, 2, 'b'); SELECT count(*) FROM log",
  );
  await writer.line('ready');
  const files = [sandbox.database, `${sandbox.database}-wal`];
  const before = await Promise.all(files.map(sha256));
  const { bytes } = await capture(sandbox.component());
  expect(gaplessPrefix(bytes)).toBe(1);
  expect(await Promise.all(files.map(sha256))).toEqual(before);
  expect(await writer.query('SELECT count(*) AS rows FROM log')).toEqual([{ rows: 2 }]);
});

it('keeps the locks that this very process has on the database', async () => {
  create('delete', 1);
  const database = new Database(sandbox.database, { timeout: 0 });
  const rival = sandbox.writer('hold', 'PRAGMA busy_timeout = 0; SELECT 1');
  await rival.line('ready');
  database.exec("BEGIN IMMEDIATE; INSERT INTO log VALUES (1, 1, 'mine'), (1, 2, 'mine')");
  const { ino } = await stat(sandbox.database);
  const locks = async (): Promise<string[]> =>
    (await readFile('/proc/locks', 'utf8'))
      .split('\n')
      .filter((line) => line.includes(`:${String(ino)} `) && line.includes(` ${String(process.pid)} `))
      .map((line) => line.replace(/^\d+: /, ''))
      .sort();
  const before = await locks();
  expect(before.length).toBeGreaterThan(0);
  const component = sandbox.component();
  await component.probe();
  const { bytes } = await capture(component);
  expect(inMemory(bytes).prepare('SELECT count(*) AS rows FROM log').get()).toEqual({ rows: 0 });
  expect(await locks()).toEqual(before);
  database.exec('COMMIT');
  database.close();
  expect(await rival.query('SELECT count(*) AS rows FROM log')).toEqual([{ rows: 2 }]);
  expect(await readdir(join(sandbox.root, 'data'))).toEqual(['app.db']);
});
