import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, stat, utimes } from 'node:fs/promises';
import Database from 'better-sqlite3';
import type { ComponentDriver } from '@foodsave-backup/component';
import { BackupError } from '@foodsave-backup/kernel';
import { createLocalStorage } from '@foodsave-backup/storage';
import { describe, expect, it } from 'vitest';
import { hookedDrivers, type Moment } from './testing/hooked.ts';
import { changed, stateOf } from './testing/live-state.ts';
import { expectNoScratch } from './testing/oracle.ts';
import { keysBelow, ruin } from './testing/storages.ts';
import { DRIVERS, World } from './testing/world.ts';
import type { RestoreResult } from './types.ts';

const live = { command: 'restore', name: 'one' } as const;

/** A driver of files whose commit fails, after `before` commits that worked. */
function failing(type: string, before = 0): readonly ComponentDriver[] {
  let commits = 0;
  return DRIVERS.map((driver) =>
    driver.type !== type
      ? driver
      : {
          ...driver,
          open: (...args) => {
            const component = driver.open(...args);
            return Object.assign(Object.create(component) as typeof component, {
              openRestore: async (run: Parameters<typeof component.openRestore>[0]) => {
                const sink = await component.openRestore(run);
                return {
                  plan: sink.plan.bind(sink),
                  write: sink.write.bind(sink),
                  close: sink.close.bind(sink),
                  commit: () =>
                    ++commits > before
                      ? Promise.reject(new BackupError('RESTORE_FAILED', 'The file is in use'))
                      : sink.commit(),
                };
              },
            });
          },
        },
  );
}

describe('a restore into the live application', () => {
  it('does what its dry run said, keeps what is excluded, and can be undone, and the undo too', async () => {
    const made = await changed(['database', 'files', 'config']);
    await using world = made.world;
    const { then, now } = made;
    const dry = await world.must<RestoreResult>({ ...live, dryRun: true });
    expect(await stateOf(world)).toEqual(now);
    expect(dry.undo).toBeUndefined();
    expect(dry.plan?.['files']).toMatchObject({
      added: expect.arrayContaining(['data/files/sub/deep/c.txt']) as string[],
      replaced: ['data/files/a.txt'],
      deleted: expect.arrayContaining(['data/files/extra/new.txt']) as string[],
    });
    expect((await world.engine.list()).total).toBe(1);
    const done = await world.must<RestoreResult>(live);
    expect(done.plan).toEqual(dry.plan);
    expect(done.failed).toEqual([]);
    expect(await stateOf(world)).toEqual(then);
    expect(await readdir(world.path)).toEqual(['backups', 'data', 'state']);
    const safety = await world.engine.show(done.undo ?? '');
    expect(safety).toMatchObject({ trigger: 'safety', status: 'complete', tags: ['before-restore:one'] });
    const again = await world.must<RestoreResult>({ ...live, dryRun: true });
    for (const instance of ['files', 'config'])
      expect(again.plan?.[instance]?.counts).toMatchObject({ added: 0, replaced: 0, deleted: 0 });

    const undone = await world.must<RestoreResult>({ command: 'undo' });
    expect(await stateOf(world)).toEqual(now);
    expect(undone.name).toBe(done.undo);
    await world.must<RestoreResult>({ command: 'undo' });
    expect(await stateOf(world)).toEqual(then);
    await expectNoScratch(world);
    expect(await readdir(world.join('backups/locks'))).toEqual([]);
  });

  it('of one component or one path leaves everything else alone', async () => {
    const made = await changed(['database', 'files']);
    await using world = made.world;
    const { then, now } = made;
    await world.must<RestoreResult>({ ...live, components: ['files'], paths: ['data/files/a.txt'] });
    expect(await stateOf(world)).toEqual({ ...now, 'files/a.txt': then['files/a.txt'] });
    await world.must<RestoreResult>({ ...live, components: ['database'] });
    expect(await stateOf(world)).toEqual({ ...now, 'files/a.txt': then['files/a.txt'], rows: then['rows'] });
    await world.must<RestoreResult>({ command: 'undo' });
    expect((await stateOf(world))['rows']).toBe(now['rows']);
    const unknown = await world.run({ ...live, paths: ['data/files/none'] });
    expect(unknown).toMatchObject({ status: 'failed', error: { code: 'PATH_NOT_FOUND' } });
  });

  it.each(['this', 'another'] as const)(
    'with the database open in %s process: every connection sees the restored rows',
    async (where) => {
      const made = await changed(['database']);
      await using world = made.world;
      const { then, now } = made;
      const path = world.join('data/app.db');
      const script = `const D = require('better-sqlite3'); const db = new D(process.argv[1]); db.prepare('SELECT * FROM items').all(); console.log('open'); process.stdin.on('data', () => { console.log(db.prepare('SELECT id, name FROM items ORDER BY id').raw().all().map(String).join()); process.exit(); });`;
      const db = where === 'this' ? new Database(path) : undefined;
      const child =
        where === 'another'
          ? spawn(process.execPath, ['-e', script, path], {
              cwd: import.meta.dirname,
              stdio: ['pipe', 'pipe', 'inherit'],
            })
          : undefined;
      try {
        db?.prepare('SELECT * FROM items').all();
        if (child !== undefined) await once(child.stdout, 'data');
        await world.must(live);
        const rows = (of: string): string => (JSON.parse(of) as unknown[][]).map(String).join();
        if (db !== undefined)
          expect(db.prepare('SELECT id, name FROM items ORDER BY id').raw().all().map(String).join()).toBe(
            rows(then['rows'] ?? ''),
          );
        if (child !== undefined) {
          child.stdin.write('go\n');
          const [text] = (await once(child.stdout, 'data')) as [Buffer];
          expect(text.toString().trim()).toBe(rows(then['rows'] ?? ''));
        }
        await world.must({ command: 'undo' });
        if (db !== undefined)
          expect(db.prepare('SELECT count(*) FROM items WHERE name = ?').pluck().get('caviar')).toBe(1);
      } finally {
        db?.close();
        child?.kill('SIGKILL');
      }
      expect((await stateOf(world))['rows']).toBe(now['rows']);
    },
  );

  it('from a damaged pack touches nothing', async () => {
    const made = await changed(['database', 'files']);
    await using world = made.world;
    const { now } = made;
    const storage = createLocalStorage(world.join('backups'));
    const packs = await Promise.all(['files/', 'database/', 'meta/'].map((folder) => keysBelow(storage, folder)));
    expect(packs.flat()).toHaveLength(3);
    for (const pack of packs.flat()) {
      await ruin(storage, pack);
      const ended = await world.run(live, { engine: world.another() });
      expect(ended.status).toBe('failed');
      expect(['RESTORE_FAILED', 'DATA_DAMAGED']).toContain(ended.error?.code);
      expect(await stateOf(world)).toEqual(now);
      expect((await readdir(world.join('data'))).filter((name) => name.startsWith('.'))).toEqual([]);
      await ruin(storage, pack);
    }
    await expectNoScratch(world);
  });

  it('without the whole application brings it back, and needs no safety backup', async () => {
    const made = await changed(['database', 'files', 'config']);
    await using world = made.world;
    const { then } = made;
    await world.remove('data');
    const ended = await world.run(live);
    expect(ended.status).toBe('succeeded');
    expect((ended.result as RestoreResult).undo).toBeUndefined();
    expect(ended.events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'SOURCE_MISSING' }));
    const { 'files/cache.tmp': _excluded, ...expected } = then;
    expect(await stateOf(world)).toEqual(expected);
    const undo = await world.run({ command: 'undo' });
    expect(undo).toMatchObject({ status: 'failed', error: { code: 'NOTHING_TO_UNDO' } });
  });

  it('without one of its parts saves what is left', async () => {
    const made = await changed(['database', 'files']);
    await using world = made.world;
    const { then } = made;
    await world.remove('data/app.db');
    await world.remove('data/app.db-wal');
    await world.remove('data/app.db-shm');
    const result = await world.must<RestoreResult>(live);
    expect(await stateOf(world)).toEqual(then);
    expect(Object.keys((await world.engine.show(result.undo ?? '')).components)).toEqual(['files']);
  });

  it('whose safety backup fails changes nothing, unless it is told to go on without one', async () => {
    const made = await changed(['files']);
    await using world = made.world;
    const { then, now } = made;
    const drivers = DRIVERS.map((driver): ComponentDriver => ({
      ...driver,
      open: (...args) => {
        const component = driver.open(...args);
        const openDump = () => Promise.reject(new BackupError('SOURCE_UNREADABLE', 'EACCES'));
        return Object.assign(Object.create(component) as typeof component, { openDump });
      },
    }));
    const engine = world.another({ drivers });
    const ended = await world.run(live, { engine });
    expect(ended).toMatchObject({ status: 'failed', error: { code: 'RESTORE_FAILED' } });
    expect(ended.error?.message).toContain('nothing was restored');
    expect(await stateOf(world)).toEqual(now);
    const forced = await world.must<RestoreResult>({ ...live, withoutSafety: true }, engine);
    expect(forced.undo).toBeUndefined();
    expect(await stateOf(world)).toEqual(then);
    expect(await world.run({ command: 'undo' })).toMatchObject({ error: { code: 'NOTHING_TO_UNDO' } });
  });

  it.each([
    ['database', ['database', 'files']],
    ['files', ['database', 'files']],
    ['config', ['files', 'config']],
  ] as const)('whose commit of %s fails leaves everything as it was (%j)', async (type, kinds) => {
    const made = await changed([...kinds]);
    await using world = made.world;
    const { now } = made;
    const ended = await world.run(live, { engine: world.another({ drivers: failing(type) }) });
    expect(ended).toMatchObject({ status: 'failed', error: { code: 'RESTORE_FAILED' } });
    expect(ended.error?.message).toContain('The file is in use');
    if (type !== 'database') expect(ended.error?.message).toContain('was put back to its state before the restore');
    expect(await stateOf(world)).toEqual(now);
    // The next one needs no help.
    await world.must(live, world.another());
  });

  it('whose rollback fails too says that undo is needed, and undo does it', async () => {
    const made = await changed(['files', 'config']);
    await using world = made.world;
    const { now } = made;
    const twice = failing('files', 1).map(
      (driver) => failing('config').find((d) => d.type === 'config' && driver.type === 'config') ?? driver,
    );
    const ended = await world.run(live, { engine: world.another({ drivers: twice }) });
    expect(ended.status).toBe('failed');
    expect(ended.error?.message).toContain('run "undo"');
    await world.must({ command: 'undo' }, world.another());
    expect(await stateOf(world)).toEqual(now);
  });

  it.each<[Moment, 'cancelled' | 'succeeded']>([
    ['after prepare files', 'cancelled'],
    ['after prepare database:main', 'cancelled'],
    ['before commit files', 'succeeded'],
    ['after commit files', 'succeeded'],
  ])('that is cancelled %s has %s: once the first move is made it goes on to the end', async (moment, status) => {
    const made = await changed(['database', 'files']);
    await using world = made.world;
    const { then, now } = made;
    let cancel: () => void = () => undefined;
    const drivers = hookedDrivers((at) => {
      if (at === moment) cancel();
    });
    const ended = await world.run(live, {
      engine: world.another({ drivers }),
      during: (run) => {
        cancel = () => {
          run.cancel('enough');
        };
      },
    });
    expect(ended.status).toBe(status);
    expect(await stateOf(world)).toEqual(status === 'cancelled' ? now : then);
    expect(await world.engine.recover(new AbortController().signal)).toEqual([]);
  });

  it('that is cancelled while it stages touches nothing', async () => {
    const made = await changed(['files', 'config']);
    await using world = made.world;
    const { now } = made;
    const ended = await world.run(live, {
      during: (run, event) => {
        if (event.type === 'progress' && event.progress.phase === 'stage') run.cancel('enough');
      },
    });
    expect(ended.status).toBe('cancelled');
    expect(await stateOf(world)).toEqual(now);
    expect((await readdir(world.join('data'))).sort()).toEqual(['config', 'files']);
  });

  it('keeps modification times', async () => {
    await using world = await World.create();
    const then = new Date('2020-02-02T02:02:02Z');
    await utimes(world.join('data/files/a.txt'), then, then);
    await world.create('one');
    await world.remove('data/files/a.txt');
    await world.must(live);
    expect((await stat(world.join('data/files/a.txt'))).mtime).toEqual(then);
  });
});
