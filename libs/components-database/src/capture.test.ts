import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { systemClock } from '@foodsave-backup/kernel';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SqliteChild } from './child/client.ts';
import { BINDINGS, capture, dumpRun, inMemory, Sandbox } from './testing/fixtures.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await Sandbox.create();
});
afterEach(async () => {
  await sandbox.remove();
});

function create(sql: string, pageSize = 4096): void {
  const database = new Database(sandbox.database);
  database.pragma(`page_size = ${String(pageSize)}`);
  database.exec(sql);
  database.close();
}

const SAMPLE = `
  CREATE TABLE meal (id INTEGER PRIMARY KEY, name TEXT, kcal INTEGER, double INTEGER AS (kcal * 2) STORED);
  INSERT INTO meal (name, kcal) VALUES ('soup', 120), ('bread', 250);
  CREATE TABLE tag (name TEXT PRIMARY KEY, meal INTEGER REFERENCES meal (id)) WITHOUT ROWID;
  INSERT INTO tag VALUES ('hot', 1), ('dry', 2);
  CREATE VIRTUAL TABLE search USING fts5 (body);
  INSERT INTO search VALUES ('soup with bread');
  CREATE TABLE migrations (id INTEGER PRIMARY KEY, timestamp INTEGER, name TEXT);
  INSERT INTO migrations VALUES (1, 1700000000000, 'Init1700000000000'), (2, 1700000000001, 'Tags1700000000001');
  PRAGMA user_version = 7;
  PRAGMA application_id = 42;`;

describe.each(BINDINGS)('a capture with %s', (binding) => {
  it.each([
    ['wal', 1, binding === 'sqlite3' ? 'in-place' : 'quiet-copy'],
    ['wal', 2, 'quiet-copy'],
    ['delete', 1, binding === 'sqlite3' ? 'in-place' : 'steps'],
    ['delete', 2, 'steps'],
    // These keep a journal, from which nothing can be told.
    ['persist', 1, 'steps'],
    ['truncate', 1, 'steps'],
  ])(
    'of a closed database in %s mode is complete and changes nothing beside it (%i)',
    async (mode, attempt, method) => {
      create(`PRAGMA journal_mode = ${mode}; ${SAMPLE}`);
      const before = await readdir(join(sandbox.root, 'data'));
      const statBefore = await stat(sandbox.database, { bigint: true });
      const { entry, bytes, facts, warnings } = await capture(sandbox.component(binding), attempt);
      expect(entry).toMatchObject({ path: 'data/app.db', kind: 'file', size: bytes.length });
      expect(entry.meta).toMatchObject({ mode: 0o644, inode: statBefore.ino, mtimeNs: statBefore.mtimeNs });
      expect(entry.content).toMatchObject({ kind: 'paged', pageSize: 4096, pageCount: bytes.length / 4096 });
      expect(facts).toMatchObject({
        tables: [
          { name: 'meal', rows: 2 },
          { name: 'migrations', rows: 2 },
          { name: 'search', rows: 1, virtual: true },
          { name: 'tag', rows: 2 },
        ],
        userVersion: 7,
        applicationId: 42,
        pageSize: 4096,
        pageCount: bytes.length / 4096,
        encoding: 'UTF-8',
        autoVacuum: 'none',
        integrityCheck: 'ok',
        foreignKeyCheck: 0,
        newestMigration: 'Tags1700000000001',
        journalMode: mode === 'wal' ? 'wal' : 'rollback',
        captureMethod: method,
        binding,
      });
      expect(facts['schemaHash']).toMatch(/^[0-9a-f]{64}$/);
      expect(facts.corrupt).toBeUndefined();
      expect(JSON.parse(JSON.stringify(facts))).toEqual(facts);
      expect(warnings).toEqual([]);
      expect(inMemory(bytes).prepare('SELECT name, double FROM meal').all()).toEqual([
        { name: 'soup', double: 240 },
        { name: 'bread', double: 500 },
      ]);
      // The copy opens in the mode of the source.
      expect([bytes[18], bytes[19]]).toEqual(mode === 'wal' ? [2, 2] : [1, 1]);
      expect(await readdir(join(sandbox.root, 'data'))).toEqual(before);
      expect(await stat(sandbox.database, { bigint: true })).toMatchObject({ mtimeNs: statBefore.mtimeNs });
      expect(await readdir(sandbox.scratchDir)).toEqual([]);
    },
  );

  it.each([512, 1024, 8192, 65536])('keeps pages of %i bytes', async (pageSize) => {
    create(`PRAGMA auto_vacuum = ${pageSize > 1000 ? 'incremental' : 'full'}; ${SAMPLE}`, pageSize);
    const { entry, bytes, facts } = await capture(sandbox.component(binding));
    expect(entry.content).toMatchObject({ kind: 'paged', pageSize });
    expect(facts).toMatchObject({ pageSize, autoVacuum: pageSize > 1000 ? 'incremental' : 'full' });
    expect(inMemory(bytes).pragma('integrity_check', { simple: true })).toBe('ok');
  });

  it('gives the same bytes for the same state', async () => {
    create(SAMPLE);
    const first = await capture(sandbox.component(binding));
    const second = await capture(sandbox.component(binding));
    expect(second.bytes.equals(first.bytes)).toBe(true);
    expect(second.facts['schemaHash']).toBe(first.facts['schemaHash']);
  });

  it('takes a file of zero bytes for a database without tables, and says so', async () => {
    await writeFile(sandbox.database, '');
    const { bytes, facts, warnings } = await capture(sandbox.component(binding));
    expect(facts).toMatchObject({ tables: [], integrityCheck: 'ok', integrityLevel: 'full', captureMethod: 'empty' });
    expect(inMemory(bytes).pragma('integrity_check', { simple: true })).toBe('ok');
    expect(warnings).toMatchObject([{ code: 'DATABASE_EMPTY', path: 'data/app.db' }]);
    expect((await stat(sandbox.database)).size).toBe(0);
  });

  it('refuses what stays locked', async () => {
    create(SAMPLE);
    await sandbox.writer('hold', 'BEGIN EXCLUSIVE').line('ready');
    const component = sandbox.component(binding, { busyTimeoutMs: 200 });
    await expect(component.openDump(dumpRun())).rejects.toMatchObject({
      code: 'DATABASE_BACKUP_FAILED',
      message: expect.stringMatching(/^Database backup failed: .*locked/) as string,
      details: { reason: 'SOURCE_LOCKED' },
    });
    await expect(component.probe()).rejects.toMatchObject({ code: 'SOURCE_LOCKED' });
    expect(await readdir(sandbox.scratchDir)).toEqual([]);
  });

  it('counts broken foreign keys, which are no damage', async () => {
    create(`PRAGMA foreign_keys = OFF; ${SAMPLE}; INSERT INTO tag VALUES ('lost', 99)`);
    const { facts } = await capture(sandbox.component(binding));
    expect(facts).toMatchObject({ foreignKeyCheck: 1, integrityCheck: 'ok' });
    expect(facts.corrupt).toBeUndefined();
  });
});

describe('a capture refuses', () => {
  const failure = (reason: string, words: RegExp): unknown =>
    expect.objectContaining({
      code: 'DATABASE_BACKUP_FAILED',
      message: expect.stringMatching(words) as string,
      hint: expect.any(String) as string,
      details: expect.objectContaining({ reason }) as object,
    });

  afterEach(async () => {
    expect(await readdir(sandbox.scratchDir)).toEqual([]);
  });

  it('a missing database', async () => {
    const component = sandbox.component();
    await expect(component.openDump(dumpRun())).rejects.toEqual(
      failure('SOURCE_MISSING', /^Database backup failed: .*does not exist/),
    );
    await expect(component.probe()).rejects.toMatchObject({ code: 'SOURCE_MISSING' });
  });

  it.each([
    ['an encrypted database', () => randomBytes(16_384)],
    ['a text', () => Buffer.from('not a database, but longer than the header of one'.repeat(10))],
    ['a few bytes', () => Buffer.from('SQLite')],
  ])('%s', async (_name, content) => {
    await writeFile(sandbox.database, content());
    await expect(sandbox.component().openDump(dumpRun())).rejects.toEqual(
      failure('SOURCE_CORRUPT', /^Database backup failed: .*file is not a database \(or encrypted\)/),
    );
  });

  it('a directory, a FIFO and a loop of links, without opening them', async () => {
    const open = (): Promise<unknown> => sandbox.component().openDump(dumpRun());
    await mkdir(sandbox.database);
    await expect(open()).rejects.toEqual(failure('SOURCE_UNREADABLE', /^Database backup failed: .*not a regular file/));
    const component = sandbox.component('sqlite3', { path: './data/fifo' });
    execFileSync('mkfifo', [join(sandbox.root, 'data/fifo')]);
    await expect(component.openDump(dumpRun())).rejects.toEqual(
      failure('SOURCE_UNREADABLE', /^Database backup failed: .*not a regular file/),
    );
    await symlink('loop', join(sandbox.root, 'data/loop'));
    await expect(sandbox.component('sqlite3', { path: './data/loop' }).openDump(dumpRun())).rejects.toEqual(
      failure('SOURCE_UNREADABLE', /^Database backup failed: /),
    );
  });
});

it('follows a link to a database outside, and names it by where the configuration says it is', async () => {
  await mkdir(join(sandbox.root, 'elsewhere'));
  const real = join(sandbox.root, 'elsewhere/real.db');
  const writer = sandbox.writer(
    'hold',
    'PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES (1)',
    real,
  );
  await writer.line('ready');
  await symlink(real, sandbox.database);
  const { entry, facts } = await capture(sandbox.component());
  expect(entry.path).toBe('data/app.db');
  expect(facts).toMatchObject({ captureMethod: 'pinned', tables: [{ name: 't', rows: 1 }] });
});

it('probes without opening the file here', async () => {
  create(`PRAGMA journal_mode = delete; ${SAMPLE}`);
  const { size } = await stat(sandbox.database);
  const probe = await sandbox.component().probe();
  expect(probe).toMatchObject({ bytes: size, entries: 1 });
  expect(probe.summary).toMatch(/^SQLite, rollback journal, \d+ tables$/);
});

describe.each(BINDINGS)('a capture with %s that is cancelled when it has asked for the facts', (binding) => {
  it.each([1, 2])('fails, and leaves no rejection that nobody handles (%i)', async (attempt) => {
    create(SAMPLE);
    const unhandled: unknown[] = [];
    const keep = (error: unknown): void => void unhandled.push(error);
    process.on('unhandledRejection', keep);
    const cancel = new AbortController();
    const real = SqliteChild.prototype.call;
    const spy = vi.spyOn(SqliteChild.prototype, 'call').mockImplementation(function (
      this: SqliteChild,
      operation,
      request,
    ) {
      const answer = real.call(this, operation, request);
      if (operation === 'facts') cancel.abort();
      return answer;
    });
    try {
      // For it the file is old enough that it is looked at once more before the dump is there.
      const later = { ...systemClock, now: () => systemClock.now() + 60_000 };
      const component = sandbox.component(binding, {}, later);
      const dump = await component.openDump(dumpRun([], { attempt, signal: cancel.signal }));
      await expect(dump.facts()).rejects.toMatchObject({ code: 'CANCELLED' });
      await dump.close();
      expect(unhandled).toEqual([]);
    } finally {
      spy.mockRestore();
      process.off('unhandledRejection', keep);
    }
  });
});
