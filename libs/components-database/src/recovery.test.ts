import { copyFile, open, readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BINDINGS, capture, dumpRun, inMemory, Sandbox, sha256 } from './testing/fixtures.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await Sandbox.create();
});
afterEach(async () => {
  await sandbox.remove();
});

function create(journalMode: string): void {
  const database = new Database(sandbox.database);
  database.pragma(`journal_mode = ${journalMode}`);
  database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, data TEXT)');
  database.exec(
    "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000) INSERT INTO t SELECT i, 'old' || hex(randomblob(100)) FROM c",
  );
  database.close();
}

async function states(): Promise<Record<string, string>> {
  const directory = join(sandbox.root, 'data');
  const found: Record<string, string> = {};
  for (const name of await readdir(directory))
    if (!name.endsWith('-shm')) found[name] = await sha256(join(directory, name));
  return found;
}

describe.each(BINDINGS)('after a kill -9 of the application, with %s', (binding) => {
  it('a hot journal is rolled back in a private copy only', async () => {
    create('delete');
    // A small cache spills changed pages into the database before the commit.
    const writer = sandbox.writer(
      'hold',
      "PRAGMA cache_size = 5; BEGIN; UPDATE t SET data = 'new' || hex(randomblob(100))",
    );
    await writer.line('ready');
    await writer.kill();
    expect((await stat(`${sandbox.database}-journal`)).size).toBeGreaterThan(0);
    const before = await states();
    const component = sandbox.component(binding);
    await component.probe();
    const { bytes, facts } = await capture(component);
    expect(facts).toMatchObject({
      captureMethod: 'quiet-copy',
      integrityCheck: 'ok',
      tables: [{ name: 't', rows: 2000 }],
    });
    expect(inMemory(bytes).prepare("SELECT count(*) AS old FROM t WHERE data LIKE 'old%'").get()).toEqual({
      old: 2000,
    });
    expect(await states()).toEqual(before);
  });

  it.each([true, false])('a leftover log is read, and stays as it is (with its index: %s)', async (withIndex) => {
    create('wal');
    const writer = sandbox.writer(
      'hold',
      "PRAGMA wal_autocheckpoint = 0; INSERT INTO t (data) VALUES ('logged'); SELECT 1",
    );
    await writer.line('ready');
    await writer.kill();
    if (!withIndex) {
      // As after a copy of the two files, or on a file system that lost the index.
      await copyFile(sandbox.database, join(sandbox.root, 'data/other.db'));
      await copyFile(`${sandbox.database}-wal`, join(sandbox.root, 'data/other.db-wal'));
    }
    const before = await states();
    const component = sandbox.component(binding, withIndex ? {} : { path: './data/other.db' });
    const { bytes, facts } = await capture(component);
    expect(facts).toMatchObject({ integrityCheck: 'ok', journalMode: 'wal', tables: [{ name: 't', rows: 2001 }] });
    expect(inMemory(bytes).prepare("SELECT count(*) AS rows FROM t WHERE data = 'logged'").get()).toEqual({ rows: 1 });
    expect(await states()).toEqual(before);
  });
});

describe.each(BINDINGS)('a damaged database, with %s', (binding) => {
  it('is kept byte for byte where SQLite can still copy it, and flagged', async () => {
    create('delete');
    const file = await open(sandbox.database, 'r+');
    // In the middle of a leaf of the table: cell pointers and content.
    await file.write(Buffer.alloc(3000, 0xa5), 0, 3000, 4096 * 20 + 8);
    await file.close();
    const { bytes, facts } = await capture(sandbox.component(binding));
    expect(facts.corrupt).toBe(true);
    expect(facts['integrityCheck']).not.toBe('ok');
    expect((facts['integrityCheck'] as string[]).length).toBeLessThanOrEqual(10);
    expect(bytes.subarray(4096 * 20 + 8, 4096 * 20 + 3008).equals(Buffer.alloc(3000, 0xa5))).toBe(true);
  });

  it('with a damaged schema is kept too', async () => {
    create('delete');
    const file = await open(sandbox.database, 'r+');
    await file.write(Buffer.alloc(3900, 0x5a), 0, 3900, 100);
    await file.close();
    const { facts, bytes } = await capture(sandbox.component(binding));
    expect(facts.corrupt).toBe(true);
    expect(bytes.length).toBe((await stat(sandbox.database)).size);
  });

  it.each([0, 1000])('that is too short by a page and %i bytes is kept as it is', async (more) => {
    create('delete');
    const { size } = await stat(sandbox.database);
    await truncate(sandbox.database, size - 4096 * 3 - more);
    const component = sandbox.component(binding);
    expect((await component.probe()).entries).toBe(1);
    const { entry, bytes, facts } = await capture(component);
    expect(facts).toMatchObject({ corrupt: true, captureMethod: 'damaged-copy' });
    expect(entry.content?.kind).toBe(more === 0 ? 'paged' : 'stream');
    expect(bytes.length).toBe(size - 4096 * 3 - more);
  });
});

it('a damaged database with a log, whose newest commits a plain copy would lose, is refused', async () => {
  create('wal');
  const writer = sandbox.writer(
    'hold',
    "PRAGMA wal_autocheckpoint = 0; INSERT INTO t (data) VALUES ('logged'); SELECT 1",
  );
  await writer.line('ready');
  await writer.kill();
  const header = await open(sandbox.database, 'r+');
  await header.write(Buffer.from([9, 9]), 0, 2, 18);
  await header.close();
  await expect(sandbox.component().openDump(dumpRun())).rejects.toMatchObject({
    code: 'DATABASE_BACKUP_FAILED',
    details: { reason: 'SOURCE_CORRUPT' },
  });
});
