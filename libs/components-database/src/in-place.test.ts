import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SourceMoved, type Dump } from '@foodsave-backup/component';
import { capture, dumpRun, readDump, Sandbox } from './testing/fixtures.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await Sandbox.create();
});
afterEach(async () => {
  await sandbox.remove();
});

/** Twelve MiB: more than what is read ahead. */
function create(mode: string): void {
  const database = new Database(sandbox.database);
  database.exec(`PRAGMA journal_mode = ${mode}; CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)`);
  const insert = database.prepare('INSERT INTO t (body) VALUES (randomblob(4000))');
  database.transaction(() => {
    for (let i = 0; i < 3000; i++) insert.run();
  })();
  database.close();
}

function write(): void {
  const database = new Database(sandbox.database);
  database.exec('DELETE FROM t WHERE id % 2 = 0');
  database.close();
}

const open = (): Promise<Dump> => sandbox.component('sqlite3').openDump(dumpRun([], { attempt: 1 }));

it.each([
  [undefined, {}, 'full'],
  [true, {}, 'full'],
  [false, {}, 'quick'],
  [false, { integrityCheck: 'full' as const }, 'full'],
  [true, { integrityCheck: 'quick' as const }, 'quick'],
])('a run that verifies (%s) with the settings %j runs the %s check', async (verify, settings, level) => {
  create('wal');
  const run = { ...dumpRun(), ...(verify === undefined ? {} : { verify }) };
  for (const attempt of [1, 2]) {
    const dump = await sandbox.component('sqlite3', settings).openDump({ ...run, attempt });
    const { facts } = await readDump(dump);
    await dump.close();
    expect(facts).toMatchObject({ integrityLevel: level, integrityCheck: 'ok' });
  }
});

describe.each(['wal', 'delete'])('a database in %s mode that nobody writes', (mode) => {
  it('is read where it lies: no copy, nothing beside it, the same bytes as a copy', async () => {
    create(mode);
    const dump = await open();
    const [directory = ''] = await readdir(sandbox.scratchDir);
    const { bytes, facts } = await readDump(dump);
    expect(await readdir(join(sandbox.scratchDir, directory))).toEqual(['pages']);
    await dump.close();
    expect(facts).toMatchObject({
      captureMethod: 'in-place',
      integrityCheck: 'ok',
      tables: [{ name: 't', rows: 3000 }],
    });
    expect(await readdir(join(sandbox.root, 'data'))).toEqual(['app.db']);
    const copied = await capture(sandbox.component('sqlite3'), 2);
    expect(copied.facts['captureMethod']).not.toBe('in-place');
    // The backup API sets some fields of the header anew (sqlite.org/fileformat2.html, section 1.3).
    for (const one of [bytes, copied.bytes])
      for (const [from, to] of [
        [18, 20],
        [24, 28],
        [40, 44],
        [92, 100],
      ])
        one.fill(0, from, to);
    expect(bytes.equals(copied.bytes)).toBe(true);
  });

  it.each(['before the first page', 'after some pages', 'after the last page'])(
    'is not believed when somebody writes %s, and is copied then',
    async (when) => {
      create(mode);
      const dump = await open();
      const reading = async (): Promise<unknown> => {
        for await (const { content } of dump.entries()) {
          if (content?.kind !== 'paged') continue;
          if (when === 'before the first page') write();
          for (let first = 0; first < content.pageCount; first += 512) {
            await content.read(first, Math.min(512, content.pageCount - first));
            if (when === 'after some pages' && first === 512) write();
          }
          if (when === 'after the last page') write();
        }
        return dump.facts();
      };
      await expect(reading()).rejects.toBeInstanceOf(SourceMoved);
      await dump.close();
      const { facts } = await capture(sandbox.component('sqlite3'));
      expect(facts).toMatchObject({ integrityCheck: 'ok', tables: [{ name: 't', rows: 1500 }] });
    },
  );

  it('and that an application has open for writing is copied', async () => {
    create(mode);
    const application = new Database(sandbox.database);
    application.exec('BEGIN IMMEDIATE; DELETE FROM t WHERE id < 10');
    const { facts } = await capture(sandbox.component('sqlite3'));
    expect(facts['captureMethod']).not.toBe('in-place');
    expect(facts).toMatchObject({ tables: [{ name: 't', rows: 3000 }] });
    application.close();
  });

  it('whose times are whole seconds is copied: a write could hide in them', async () => {
    create(mode);
    await utimes(sandbox.database, 1_700_000_000, 1_700_000_000);
    const { facts } = await capture(sandbox.component('sqlite3'));
    expect(facts['captureMethod']).not.toBe('in-place');
  });
});

it('a transaction that is not committed, of which pages stand in the file without a journal, is not taken', async () => {
  create('delete');
  const application = new Database(sandbox.database);
  application.exec('PRAGMA journal_mode = MEMORY; PRAGMA cache_size = 5; PRAGMA cache_spill = 1; BEGIN');
  application.exec('UPDATE t SET body = zeroblob(4000)');
  await expect(capture(sandbox.component('sqlite3', { busyTimeoutMs: 100 }))).rejects.toMatchObject({
    code: 'DATABASE_BACKUP_FAILED',
    details: { reason: 'SOURCE_LOCKED' },
  });
  application.exec('ROLLBACK');
  application.close();
  expect((await capture(sandbox.component('sqlite3'))).facts).toMatchObject({ tables: [{ name: 't', rows: 3000 }] });
});
