import { chmod, copyFile, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RestoreEntry } from '@foodsave-backup/component';
import {
  BINDINGS,
  capture,
  query,
  restoreEntry,
  restoreLive,
  restoreRun,
  Sandbox,
  sha256,
  type Captured,
} from './testing/fixtures.ts';
import { findHolders } from './child/holders.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await Sandbox.create();
});
afterEach(async () => {
  await sandbox.remove();
});

function create(journalMode: string, value: string, pageSize = 4096): void {
  const database = new Database(sandbox.database);
  database.pragma(`page_size = ${String(pageSize)}`);
  database.pragma(`journal_mode = ${journalMode}`);
  database.exec('CREATE TABLE state (value TEXT); CREATE TABLE filler (data BLOB)');
  database.prepare('INSERT INTO state VALUES (?)').run(value);
  database.exec(
    'WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 50) INSERT INTO filler SELECT randomblob(4000) FROM c',
  );
  database.close();
}

async function backup(journalMode: string, pageSize?: number): Promise<Captured> {
  create(journalMode, 'then', pageSize);
  return capture(sandbox.component());
}

function change(): void {
  const database = new Database(sandbox.database);
  database.exec("UPDATE state SET value = 'now'; DELETE FROM filler; CREATE TABLE later (a)");
  database.close();
}

const digest = (captured: Captured): string => Buffer.from(restoreEntry(captured).sha256 ?? []).toString('hex');
const dataFiles = (): Promise<string[]> => readdir(join(sandbox.root, 'data'));

async function* entries(captured: Captured): AsyncIterable<RestoreEntry> {
  await Promise.resolve();
  yield restoreEntry(captured);
}

describe.each(BINDINGS)('into a directory, with %s', (binding) => {
  it.each(['wal', 'delete'])('a database in %s mode comes back byte for byte, alone', async (mode) => {
    const captured = await backup(mode);
    const directory = join(sandbox.root, 'target');
    await mkdir(join(directory, 'data'), { recursive: true });
    await writeFile(join(directory, 'data/app.db-wal'), 'of an earlier file');
    const sink = await sandbox
      .component(binding)
      .openRestore(restoreRun({ kind: 'target', directory }, captured.facts));
    const entry = restoreEntry(captured);
    entry.meta = { ...entry.meta, mode: 0o4640, mtimeNs: 1_700_000_000_500_000_000n };
    expect(await sink.plan(entries(captured))).toMatchObject({ added: ['data/app.db'], bytes: captured.bytes.length });
    await sink.write(entry);
    expect(await sink.commit()).toEqual({ files: 1, bytes: captured.bytes.length, notes: [] });
    await sink.close();
    const restored = join(directory, 'data/app.db');
    expect(await readdir(join(directory, 'data'))).toEqual(['app.db']);
    expect(await sha256(restored)).toBe(digest(captured));
    expect(await stat(restored)).toMatchObject({ mode: 0o100640, mtimeMs: 1_700_000_000_500 });
    expect(query(restored, 'SELECT value FROM state')).toEqual([{ value: 'then' }]);
    expect(query(restored, 'PRAGMA journal_mode')).toEqual([{ journal_mode: mode }]);
  });
});

describe('into a directory', () => {
  it('refuses content that is not what the backup recorded, and leaves nothing', async () => {
    const captured = await backup('wal');
    const directory = join(sandbox.root, 'target');
    const sink = await sandbox.component().openRestore(restoreRun({ kind: 'target', directory }, captured.facts));
    const entry = restoreEntry(captured);
    entry.sha256 = new Uint8Array(32);
    await expect(sink.write(entry)).rejects.toMatchObject({ code: 'DATA_DAMAGED' });
    await sink.close();
    expect(await readdir(join(directory, 'data'))).toEqual([]);
  });

  it('refuses paths and links that lead out of it', async () => {
    const captured = await backup('wal');
    const directory = join(sandbox.root, 'target');
    await mkdir(directory);
    await symlink('/tmp', join(directory, 'data'));
    const sink = await sandbox.component().openRestore(restoreRun({ kind: 'target', directory }, captured.facts));
    await expect(sink.write(restoreEntry(captured))).rejects.toMatchObject({ code: 'TARGET_INVALID' });
    await expect(sink.write({ ...restoreEntry(captured), path: '../app.db' })).rejects.toThrow();
    await sink.close();
    expect(await readdir(directory)).toEqual(['data']);
  });

  it('finds a backup whose database is damaged although its facts say it was sound; keeps one that was damaged', async () => {
    const captured = await backup('delete');
    captured.bytes.fill(0xa5, 4096 * 4 + 8, 4096 * 5);
    const directory = join(sandbox.root, 'target');
    const component = sandbox.component();
    const sink = await component.openRestore(restoreRun({ kind: 'target', directory }, captured.facts));
    await sink.write(restoreEntry(captured));
    await expect(sink.commit()).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' });
    await sink.close();
    expect(await readdir(join(directory, 'data'))).toEqual([]);
    const facts = { ...captured.facts, corrupt: true };
    const second = await component.openRestore(restoreRun({ kind: 'target', directory }, facts));
    await second.write(restoreEntry(captured));
    expect((await second.commit()).notes).toHaveLength(1);
    await second.close();
    expect(await sha256(join(directory, 'data/app.db'))).toBe(digest(captured));
  });

  it('refuses a database that is sound but not the one that was recorded', async () => {
    const captured = await backup('delete');
    const directory = join(sandbox.root, 'target');
    for (const facts of [{ schemaHash: '0'.repeat(64) }, { pageCount: 1 }]) {
      const run = restoreRun({ kind: 'target', directory }, { ...captured.facts, ...facts });
      const sink = await sandbox.component().openRestore(run);
      await sink.write(restoreEntry(captured));
      await expect(sink.commit()).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' });
      await sink.close();
    }
    expect(await readdir(join(directory, 'data'))).toEqual([]);
  });

  it('leaves nothing when it ends while SQLite still looks at it', async () => {
    const captured = await backup('delete');
    const directory = join(sandbox.root, 'target');
    const sink = await sandbox.component().openRestore(restoreRun({ kind: 'target', directory }, captured.facts));
    await sink.write(restoreEntry(captured));
    expect(await readdir(join(directory, 'data'))).toHaveLength(1);
    await sink.close();
    expect(await readdir(join(directory, 'data'))).toEqual([]);
  });

  it('writes only what was asked for', async () => {
    const captured = await backup('delete');
    const directory = join(sandbox.root, 'target');
    const run = restoreRun({ kind: 'target', directory }, captured.facts, { paths: ['data/other.db'] });
    const sink = await sandbox.component().openRestore(run);
    await sink.write(restoreEntry(captured));
    expect(await sink.commit()).toMatchObject({ files: 0, bytes: 0 });
    await sink.close();
  });
});

describe.each(BINDINGS)('into the live database, with %s', (binding) => {
  it('in WAL mode that nobody holds: renamed, byte for byte, no leftovers', async () => {
    const captured = await backup('wal');
    change();
    await chmod(sandbox.database, 0o600);
    const { ino } = await stat(sandbox.database);
    expect(await restoreLive(sandbox.component(binding), captured)).toEqual([]);
    expect((await stat(sandbox.database)).ino).not.toBe(ino);
    expect(await dataFiles()).toEqual(['app.db']);
    expect(await sha256(sandbox.database)).toBe(digest(captured));
    expect((await stat(sandbox.database)).mode & 0o777).toBe(captured.entry.meta.mode);
    expect(query(sandbox.database, 'SELECT value FROM state')).toEqual([{ value: 'then' }]);
  });

  it('with a rollback journal: renamed only where every process could be seen not to hold it', async () => {
    const captured = await backup('delete');
    change();
    const before = await stat(sandbox.database, { bigint: true });
    const { pids, everyone } = await findHolders(before);
    expect(pids).toEqual([]);
    const notes = await restoreLive(sandbox.component(binding), captured);
    expect((await stat(sandbox.database, { bigint: true })).ino === before.ino).toBe(!everyone);
    expect(notes).toHaveLength(everyone ? 0 : 1);
    expect(await dataFiles()).toEqual(['app.db']);
    expect((await sha256(sandbox.database)) === digest(captured)).toBe(everyone);
    expect(query(sandbox.database, 'SELECT value FROM state')).toEqual([{ value: 'then' }]);
    expect(query(sandbox.database, "SELECT name FROM sqlite_schema WHERE name = 'later'")).toEqual([]);
  });

  it('with the log of a killed application: its log does not survive into the restored one', async () => {
    const captured = await backup('wal');
    const writer = sandbox.writer('hold', "PRAGMA wal_autocheckpoint = 0; UPDATE state SET value = 'now'; SELECT 1");
    await writer.line('ready');
    await writer.kill();
    expect(await dataFiles()).toContain('app.db-wal');
    await restoreLive(sandbox.component(binding), captured);
    expect(await dataFiles()).toEqual(['app.db']);
    expect(query(sandbox.database, 'SELECT value FROM state')).toEqual([{ value: 'then' }]);
  });

  it.each(['wal', 'delete'])(
    'in %s mode that a process holds: its open connection sees the restored state',
    async (mode) => {
      const captured = await backup(mode);
      change();
      const holder = sandbox.writer('hold', 'SELECT * FROM state');
      await holder.line('ready');
      expect(await holder.query('SELECT value FROM state')).toEqual([{ value: 'now' }]);
      const { ino } = await stat(sandbox.database);
      const notes = await restoreLive(sandbox.component(binding), captured);
      expect(notes).toEqual([expect.stringContaining('in use')]);
      expect((await stat(sandbox.database)).ino).toBe(ino);
      expect(await holder.query('SELECT value FROM state')).toEqual([{ value: 'then' }]);
      expect(await holder.query("SELECT name FROM sqlite_schema WHERE name = 'later'")).toEqual([]);
      expect(await holder.query('PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }]);
      expect((await dataFiles()).filter((name) => name.startsWith('.'))).toEqual([]);
    },
  );

  it('that stays locked: fails, and the database is as it was', async () => {
    const captured = await backup('delete');
    change();
    const holder = sandbox.writer('hold', 'BEGIN; SELECT * FROM state');
    await holder.line('ready');
    const before = await sha256(sandbox.database);
    const component = sandbox.component(binding, { busyTimeoutMs: 300 });
    await expect(restoreLive(component, captured)).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
      details: { reason: 'LOCKED' },
    });
    expect(await sha256(sandbox.database)).toBe(before);
    expect(await holder.query('SELECT value FROM state')).toEqual([{ value: 'now' }]);
    expect((await dataFiles()).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});

describe('into the live database', () => {
  it('of another page size in WAL mode under a holder: refused with advice, nothing changed', async () => {
    const captured = await backup('wal', 4096);
    const other = join(sandbox.root, 'other.db');
    await copyFile(sandbox.database, other);
    const rebuild = new Database(sandbox.database);
    rebuild.pragma('journal_mode = delete');
    rebuild.pragma('page_size = 8192');
    rebuild.exec("VACUUM; UPDATE state SET value = 'now'");
    rebuild.pragma('journal_mode = wal');
    rebuild.close();
    const holder = sandbox.writer('hold', 'SELECT * FROM state');
    await holder.line('ready');
    await expect(restoreLive(sandbox.component(), captured)).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
      hint: expect.stringContaining('Stop the application') as string,
    });
    expect(await holder.query('SELECT value FROM state')).toEqual([{ value: 'now' }]);
    await holder.kill();
    await restoreLive(sandbox.component(), captured);
    expect(await sha256(sandbox.database)).toBe(digest(captured));
  });

  it('of another page size with a rollback journal under a holder: replaced', async () => {
    const captured = await backup('delete', 1024);
    const rebuild = new Database(sandbox.database);
    rebuild.pragma('page_size = 8192');
    rebuild.exec("VACUUM; UPDATE state SET value = 'now'");
    rebuild.close();
    const holder = sandbox.writer('hold', 'SELECT * FROM state');
    await holder.line('ready');
    await restoreLive(sandbox.component(), captured);
    expect(await holder.query('SELECT value FROM state')).toEqual([{ value: 'then' }]);
    expect(await holder.query('PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }]);
  });

  it('that is missing or garbage: put in its place', async () => {
    const captured = await backup('wal');
    const component = sandbox.component('sqlite3', { path: './fresh/app.db' });
    await restoreLive(component, captured);
    expect(await sha256(join(sandbox.root, 'fresh/app.db'))).toBe(digest(captured));
    await writeFile(sandbox.database, 'garbage');
    await writeFile(`${sandbox.database}-wal`, 'garbage');
    await restoreLive(sandbox.component(), captured);
    expect(await dataFiles()).toEqual(['app.db']);
    expect(await sha256(sandbox.database)).toBe(digest(captured));
  });

  it('held by this very process: its connection sees the restored state', async () => {
    const captured = await backup('wal');
    change();
    const own = new Database(sandbox.database);
    expect(own.prepare('SELECT value FROM state').pluck().get()).toBe('now');
    await restoreLive(sandbox.component(), captured);
    expect(own.prepare('SELECT value FROM state').pluck().get()).toBe('then');
    own.exec("UPDATE state SET value = 'later'");
    own.close();
    expect(query(sandbox.database, 'SELECT value FROM state')).toEqual([{ value: 'later' }]);
  });

  it('is planned exactly, and neither a plan nor an unfinished restore touches it', async () => {
    const captured = await backup('delete');
    const component = sandbox.component();
    const plan = async (): Promise<unknown> => {
      const sink = await component.openRestore(restoreRun({ kind: 'live' }, captured.facts, { dryRun: true }));
      const planned = await sink.plan(entries(captured));
      await sink.close();
      return planned;
    };
    expect(await plan()).toMatchObject({ counts: { added: 0, replaced: 0, unchanged: 1 }, bytes: 0 });
    change();
    const before = await readFile(sandbox.database);
    const replaced = { replaced: ['data/app.db'], counts: { replaced: 1, unchanged: 0 }, bytes: captured.bytes.length };
    expect(await plan()).toMatchObject(replaced);
    const sink = await component.openRestore(restoreRun({ kind: 'live' }, captured.facts));
    await sink.write(restoreEntry(captured));
    expect((await dataFiles()).length).toBe(2);
    await sink.close();
    await sink.close();
    expect(await dataFiles()).toEqual(['app.db']);
    expect((await readFile(sandbox.database)).equals(before)).toBe(true);
    expect(await readdir(sandbox.scratchDir)).toEqual([]);
  });
});
