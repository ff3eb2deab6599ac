import { mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isSwapSink, type Component, type SwapSink } from '@foodsave-backup/component';
import {
  BINDINGS,
  capture,
  query,
  restoreEntry,
  restoreLive,
  restoreRun,
  Sandbox,
  type Captured,
} from './testing/fixtures.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await Sandbox.create();
});
afterEach(async () => {
  await sandbox.remove();
});

const dataFiles = async (): Promise<string[]> => (await readdir(join(sandbox.root, 'data'))).sort();
const value = (): unknown => (query(sandbox.database, 'SELECT value FROM state')[0] as { value: unknown }).value;

/** A database that says `then`, captured, and says `now` since. */
async function made(journalMode: 'wal' | 'delete'): Promise<Captured> {
  const database = new Database(sandbox.database);
  database.pragma(`journal_mode = ${journalMode}`);
  database.exec("CREATE TABLE state (value TEXT); INSERT INTO state VALUES ('then'); CREATE TABLE filler (data BLOB)");
  database.exec(
    'WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 50) INSERT INTO filler SELECT randomblob(4000) FROM c',
  );
  database.close();
  const captured = await capture(sandbox.component());
  change();
  return captured;
}

/** Another value than before, for SQLite writes nothing where nothing changes. */
function change(to = 'now'): void {
  const database = new Database(sandbox.database);
  database.prepare('UPDATE state SET value = ?').run(to);
  database.close();
}

async function staged(component: Component, captured: Captured): Promise<SwapSink> {
  const sink = await component.openRestore(restoreRun({ kind: 'live' }, captured.facts));
  if (!isSwapSink(sink)) throw new Error('not a SwapSink');
  await sink.write(restoreEntry(captured));
  return sink;
}

describe.each(BINDINGS)('a database that is held, with %s', (binding) => {
  it('is prepared without a change that anybody sees, committed in one instant, and left alone when it is given up', async () => {
    const captured = await made('wal');
    const component = sandbox.component(binding);
    const holder = sandbox.writer('hold', 'SELECT * FROM state');
    await holder.line('ready');
    const given = await staged(component, captured);
    expect((await given.prepare())?.inPlace).toBe(true);
    expect(await holder.query('SELECT value FROM state')).toEqual([{ value: 'now' }]);
    await given.close();
    expect(await holder.query('SELECT value FROM state')).toEqual([{ value: 'now' }]);

    const sink = await staged(component, captured);
    const ticket = (await sink.prepare()) ?? {};
    expect(await component.swaps?.look(ticket, false)).toMatchObject({ moved: 'nothing', finishLoses: false });
    await sink.commit();
    expect(await holder.query('SELECT value FROM state')).toEqual([{ value: 'then' }]);
    expect(await sink.check()).toEqual([]);
    // Also where nobody wrote down that the commit had returned.
    for (const committed of [false, true]) {
      expect(await component.swaps?.look(ticket, committed)).toEqual({
        moved: 'all',
        finishLoses: false,
        undoLoses: false,
      });
    }
    expect(await sink.revert()).toBe(false);
    change();
    expect(await component.swaps?.look(ticket, true)).toMatchObject({ moved: 'all', undoLoses: true });
    await sink.close();
    expect((await dataFiles()).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});

describe('a database that nobody holds', () => {
  it('is taken back with its own file, and so it is again', async () => {
    const captured = await made('wal');
    const component = sandbox.component();
    const { ino } = await stat(sandbox.database);
    const sink = await staged(component, captured);
    const ticket = (await sink.prepare()) ?? {};
    await sink.commit();
    expect((await component.swaps?.look(ticket, false))?.moved).toBe('all');
    expect(await sink.revert()).toBe(true);
    expect((await stat(sandbox.database)).ino).toBe(ino);
    expect(value()).toBe('now');
    expect((await component.swaps?.look(ticket, false))?.moved).toBe('nothing');
    expect(await component.swaps?.undo(ticket)).toBe(true);
    await sink.close();
    expect(await dataFiles()).toEqual(['app.db']);
  });

  it('and that somebody opens right after the move is taken back under the open connection', async () => {
    const captured = await made('wal');
    const sink = await staged(sandbox.component(), captured);
    await sink.prepare();
    await sink.commit();
    const holder = sandbox.writer('hold', 'SELECT * FROM state');
    await holder.line('ready');
    expect(await holder.query('SELECT value FROM state')).toEqual([{ value: 'then' }]);
    expect(await sink.revert()).toBe(true);
    expect(await holder.query('SELECT value FROM state')).toEqual([{ value: 'now' }]);
    expect(await holder.query('PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }]);
    await sink.close();
  });

  it('tells, after a crash, whether somebody has written since', async () => {
    const captured = await made('wal');
    const component = sandbox.component();
    const sink = await staged(component, captured);
    const ticket = (await sink.prepare()) ?? {};
    const { staged: path } = ticket as { staged: string };
    await rename(path, `${path}-saved`);
    // As a kill leaves it: the lock is gone, the files are there.
    await sink.close();
    await rename(`${path}-saved`, path);
    expect(await component.swaps?.look(ticket, false)).toMatchObject({ moved: 'nothing', finishLoses: false });
    change('later');
    expect(await component.swaps?.look(ticket, false)).toMatchObject({ moved: 'nothing', finishLoses: true });
    await component.swaps?.finish(ticket);
    expect(value()).toBe('then');
    expect(await component.swaps?.look(ticket, false)).toMatchObject({ moved: 'all', undoLoses: false });
    change();
    expect(await component.swaps?.look(ticket, false)).toMatchObject({ moved: 'all', undoLoses: true });
    const [kept = ''] = (await component.swaps?.keep(ticket)) ?? [];
    expect(kept).toContain('app.db.before-restore-');
    expect(query(kept, 'SELECT value FROM state')).toEqual([{ value: 'later' }]);
    await component.swaps?.clean(ticket);
    expect((await dataFiles()).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('and that was not there before is gone after an undo, unless somebody uses it by then', async () => {
    const captured = await made('wal');
    const component = sandbox.component();
    const swap = async (): Promise<SwapSink> => {
      await rm(sandbox.database);
      const sink = await staged(component, captured);
      await sink.prepare();
      await sink.commit();
      return sink;
    };
    const first = await swap();
    const own = new Database(sandbox.database);
    own.exec("UPDATE state SET value = 'used'");
    await expect(first.revert()).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    own.close();
    await first.close();
    expect(value()).toBe('used');
    const second = await swap();
    expect(await second.revert()).toBe(true);
    await second.close();
    expect(await dataFiles()).toEqual([]);
  });
});

describe('odd places of a live database', () => {
  it('of zero bytes that an application holds is filled under its connection', async () => {
    const captured = await made('delete');
    await writeFile(sandbox.database, '');
    const holder = sandbox.writer('hold', 'SELECT * FROM sqlite_schema');
    await holder.line('ready');
    const { ino } = await stat(sandbox.database);
    await restoreLive(sandbox.component(), captured);
    expect((await stat(sandbox.database)).ino).toBe(ino);
    expect(await holder.query('SELECT value FROM state')).toEqual([{ value: 'then' }]);
  });

  it('in a directory that is a link, and behind a link of its own: the links stay', async () => {
    const captured = await made('wal');
    const real = join(sandbox.root, 'elsewhere');
    await mkdir(real);
    await rename(sandbox.database, join(real, 'real.db'));
    await rm(join(sandbox.root, 'data'), { recursive: true });
    await symlink('elsewhere', join(sandbox.root, 'data'));
    await symlink('real.db', join(real, 'app.db'));
    await restoreLive(sandbox.component(), captured);
    expect((await readdir(real)).sort()).toEqual(['app.db', 'real.db']);
    expect(query(join(real, 'real.db'), 'SELECT value FROM state')).toEqual([{ value: 'then' }]);
    expect((await readFile(join(real, 'app.db'))).equals(await readFile(join(real, 'real.db')))).toBe(true);
  });
});
