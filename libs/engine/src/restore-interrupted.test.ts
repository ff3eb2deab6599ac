import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { BackupError } from '@foodsave-backup/kernel';
import { describe, expect, it } from 'vitest';
import { hookedDrivers, type Moment } from './testing/hooked.ts';
import { changed, stateOf } from './testing/live-state.ts';
import { expectNoScratch } from './testing/oracle.ts';
import { World, type Kind } from './testing/world.ts';
import type { Command, RestoreResult } from './types.ts';

const live = { command: 'restore', name: 'one' } as const;
const create = { command: 'create', name: 'after', trigger: 'manual' } as const;
const KINDS = ['database', 'files', 'config'] as const;

/** Carries a command out in a process of its own that dies at `moment`. */
async function dies(world: World, moment: Moment, command: Command = live): Promise<void> {
  const script = fileURLToPath(new URL('./testing/dying-child.ts', import.meta.url));
  const args = ['--conditions=@foodsave-backup/source', script, world.path, world.kinds.join()];
  const child = spawn(process.execPath, [...args, JSON.stringify(command), moment], { stdio: 'inherit' });
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  expect(signal, moment).toBe('SIGKILL');
}

/** Nothing of a restore is left beside the data or in the state directory. */
async function expectClean(world: World): Promise<void> {
  const names = [...(await readdir(world.path)), ...(await readdir(world.join('data')))];
  expect(names.filter((name) => name.startsWith('.') || name.includes('before-restore'))).toEqual([]);
  expect(await readdir(world.join('state'))).not.toContain('unfinished-restore.json');
  await expectNoScratch(world);
}

describe('a restore of several components whose process dies', () => {
  it.each<[Moment, 'now' | 'then']>([
    ['after write config', 'now'],
    ['before prepare database:main', 'now'],
    ['before commit files', 'now'],
    ['after commit files', 'then'],
    ['after commit config', 'then'],
    ['after commit database:main', 'then'],
    ['after close files', 'then'],
  ])('%s: all components are as they were %s, without a byte from the repository', async (moment, expected) => {
    const made = await changed([...KINDS]);
    await using world = made.world;
    await dies(world, moment);
    for (const folder of ['database', 'files', 'config', 'meta']) {
      await rename(world.join('backups', folder), world.join(`away-${folder}`));
    }
    const said = await world.engine.recover(new AbortController().signal);
    // Before there is a journal, there is nothing to tell: what was staged goes.
    if (moment.includes('commit') || moment.includes('close')) {
      expect(said).toEqual([expect.stringContaining(expected === 'then' ? 'was finished' : 'was undone')]);
    }
    expect(await stateOf(world)).toEqual(made[expected]);
    await expectClean(world);
    expect(await world.engine.recover(new AbortController().signal)).toEqual([]);
    for (const folder of ['database', 'files', 'config', 'meta']) {
      await rename(world.join(`away-${folder}`), world.join('backups', folder));
    }
    await world.must(create);
  });

  it('with the database held open: replaced in place, and the rest follows', async () => {
    const made = await changed([...KINDS]);
    await using world = made.world;
    const db = new Database(world.join('data/app.db'));
    try {
      db.prepare('SELECT * FROM items').all();
      for (const [moment, expected] of [
        ['before commit database:main', 'now'],
        ['after commit database:main', 'then'],
      ] as const) {
        await dies(world, moment);
        await world.engine.recover(new AbortController().signal);
        expect(await stateOf(world), moment).toEqual(made[expected]);
        await expectClean(world);
      }
      expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
    } finally {
      db.close();
    }
  });

  it('is taken back by undo, and only that restore is', async () => {
    const made = await changed(['files', 'config']);
    await using world = made.world;
    await world.must(live);
    await world.write('data/files/a.txt', 'after the first restore\n');
    await world.write('data/config/app.json', '{}');
    const between = await stateOf(world);
    await dies(world, 'after commit files');
    const ended = await world.run({ command: 'undo' });
    expect(ended.status).toBe('succeeded');
    expect(ended.events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'RESTORE_UNDONE' }));
    expect(await stateOf(world)).toEqual(between);
    await expectClean(world);
    await world.must({ command: 'undo' });
    expect(await stateOf(world)).toEqual(made.now);
  });

  it('and whose live data somebody changed afterwards: nothing is lost, whatever way is taken', async () => {
    const made = await changed(['files', 'config']);
    await using world = made.world;
    await dies(world, 'after commit files');
    // The configuration is still old, and goes on being written: finishing would lose this, undoing does not.
    const config = '{ "theme": "of the application" }\n';
    await world.write('data/config/app.json', config);
    const ended = await world.run(create);
    expect(ended.events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'RESTORE_UNDONE' }));
    expect(await stateOf(world)).toEqual({ ...made.now, 'config/app.json': config });
    await expectClean(world);
  });

  it('and whose live data was changed on both sides: nothing more is touched, once said, and what was set aside is kept', async () => {
    const made = await changed(['files', 'config']);
    await using world = made.world;
    await dies(world, 'after commit files');
    await world.write('data/config/app.json', '{ "theme": "of the application" }\n');
    await world.write('data/files/a.txt', 'of the application\n');
    const before = await stateOf(world);
    const ended = await world.run(create);
    expect(ended.status).toBe('succeeded');
    const unsettled = ended.events.find((event) => event.type === 'warning' && event.code === 'RESTORE_UNSETTLED');
    expect(unsettled).toMatchObject({ message: expect.stringContaining('changed after it') as string });
    const kept = (await readdir(world.join('data'))).filter((name) => name.startsWith('.'));
    expect(kept).toHaveLength(2);
    for (const name of kept) expect(unsettled).toMatchObject({ message: expect.stringContaining(name) as string });
    const { [kept[0] ?? '']: _one, [kept[1] ?? '']: _two, ...after } = await stateOf(world);
    const visible = Object.fromEntries(Object.entries(after).filter(([path]) => !path.startsWith('.')));
    const expected = Object.fromEntries(Object.entries(before).filter(([path]) => !path.startsWith('.')));
    expect(visible).toEqual(expected);
    const next = await world.run({ ...create, name: 'next' });
    expect(next.events.filter((event) => event.type === 'warning')).toEqual([]);
    // The safety backup still brings the state before the restore back.
    await world.must({ command: 'undo' });
    for (const name of kept) await rm(world.join('data', name), { recursive: true });
    expect(await stateOf(world)).toEqual(made.now);
  });

  it('while it takes back what another component could not do: the next one goes on with it', async () => {
    const made = await changed(['files', 'config']);
    await using world = made.world;
    const record = world.join('state/unfinished-restore.json');
    await dies(world, 'after commit files');
    const journal = JSON.parse(await readFile(record, 'utf8')) as { phase: string };
    await writeFile(record, JSON.stringify({ ...journal, phase: 'undoing' }));
    expect(await world.engine.recover(new AbortController().signal)).toEqual([expect.stringContaining('was undone')]);
    expect(await stateOf(world)).toEqual(made.now);
    await expectClean(world);
  });
});

describe('a restore one of whose components fails', () => {
  it.each<[Moment, readonly Kind[]]>([
    ['before commit config', ['files', 'config']],
    ['before commit database:main', ['files', 'config', 'database']],
    ['before check config', ['files', 'config']],
    ['before prepare database:main', ['database', 'files']],
  ])('%s: all are put back from what was set aside, not from the repository (%j)', async (moment, kinds) => {
    const made = await changed([...kinds] as Parameters<typeof changed>[0]);
    await using world = made.world;
    const drivers = hookedDrivers(async (at) => {
      if (at !== moment) return;
      for (const folder of ['database', 'files', 'config', 'meta']) await world.remove(`backups/${folder}`);
      throw new BackupError('RESTORE_FAILED', 'The file is in use');
    });
    const ended = await world.run(live, { engine: world.another({ drivers }) });
    expect(ended).toMatchObject({ status: 'failed', error: { code: 'RESTORE_FAILED' } });
    expect(ended.error?.message).toContain('The file is in use');
    expect(await stateOf(world)).toEqual(made.now);
    await expectClean(world);
  });

  it('is no restore that undo would take back', async () => {
    const made = await changed(['files', 'config']);
    await using world = made.world;
    const drivers = hookedDrivers((at) => {
      if (at === 'before commit config') throw new BackupError('RESTORE_FAILED', 'The file is in use');
    });
    expect((await world.run(live, { engine: world.another({ drivers }) })).status).toBe('failed');
    await world.write('data/files/a.txt', 'later\n');
    expect(await world.run({ command: 'undo' })).toMatchObject({
      status: 'failed',
      error: { code: 'NOTHING_TO_UNDO', message: expect.stringContaining('Nothing was restored') as string },
    });
  });
});

describe('undo', () => {
  it('has nothing to do where nothing was restored', async () => {
    await using world = await World.create();
    await world.create('one');
    for (const dryRun of [false, true]) {
      expect(await world.run({ command: 'undo', dryRun })).toMatchObject({
        status: 'failed',
        error: { code: 'NOTHING_TO_UNDO' },
      });
    }
  });

  it('says which restore cannot be undone, and why', async () => {
    const made = await changed(['files']);
    await using world = made.world;
    const { undo = '' } = await world.must<RestoreResult>(live);
    await world.must({ command: 'delete', name: undo });
    const gone = await world.run({ command: 'undo' });
    expect(gone.error).toMatchObject({ code: 'NOTHING_TO_UNDO', message: expect.stringContaining(undo) as string });
    await world.must({ ...live, withoutSafety: true });
    const without = await world.run({ command: 'undo' });
    expect(without.error?.message).toContain('no safety backup was made');
  });

  it('as a dry run shows what it would do', async () => {
    const made = await changed(['files']);
    await using world = made.world;
    const { then } = made;
    await world.must(live);
    const dry = await world.must<RestoreResult>({ command: 'undo', dryRun: true });
    expect(dry.plan?.['files']?.replaced).toEqual(['data/files/a.txt']);
    expect(await stateOf(world)).toEqual(then);
  });

  it('finds the safety backup without its own record of it', async () => {
    const made = await changed(['files']);
    await using world = made.world;
    const { now } = made;
    await world.must(live);
    await world.remove('state');
    await world.must({ command: 'undo' });
    expect(await stateOf(world)).toEqual(now);
  });
});
