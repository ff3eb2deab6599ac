import { rename } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { changed, stateOf } from './testing/live-state.ts';
import { World } from './testing/world.ts';
import type { RestoreResult } from './types.ts';

const live = { command: 'restore', name: 'one' } as const;

describe('what a restore that died between two components left', () => {
  /** As if the process had died after the files were put in place, and before the configuration was. */
  async function halfway(): Promise<{
    world: World;
    then: Record<string, string>;
    now: Record<string, string>;
    undo: string;
  }> {
    const { world, then, now } = await changed(['files', 'config']);
    const { undo = '' } = await world.must<RestoreResult>(live);
    await rename(world.join('state/last-restore.json'), world.join('state/unfinished-restore.json'));
    await world.write('data/config/app.json', now['config/app.json'] ?? '');
    return { world, then, now, undo };
  }
  const create = { command: 'create', name: 'after', trigger: 'manual' } as const;

  it('is undone by the next create, which says so', async () => {
    const made = await halfway();
    await using world = made.world;
    const { now } = made;
    const ended = await world.run(create);
    expect(ended.status).toBe('succeeded');
    expect(ended.events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'RESTORE_UNDONE' }));
    expect(await stateOf(world)).toEqual(now);
    const next = await world.run({ ...create, name: 'next' });
    expect(next.events.filter((e) => e.type === 'warning')).toEqual([]);
  });

  it('is undone when a server starts', async () => {
    const made = await halfway();
    await using world = made.world;
    expect(await world.engine.recover(new AbortController().signal)).toEqual([expect.stringContaining('was undone')]);
    expect(await stateOf(world)).toEqual(made.now);
    expect(await world.engine.recover(new AbortController().signal)).toEqual([]);
  });

  it('is undone before the next restore, whose own undo goes back to that', async () => {
    const made = await halfway();
    await using world = made.world;
    const { then, now } = made;
    await world.must(live);
    expect(await stateOf(world)).toEqual(then);
    await world.must({ command: 'undo' });
    expect(await stateOf(world)).toEqual(now);
  });

  it('is finished where there was nothing to go back to', async () => {
    const made = await changed(['files', 'config']);
    await using world = made.world;
    const { then } = made;
    await world.remove('data');
    await world.must(live);
    await rename(world.join('state/last-restore.json'), world.join('state/unfinished-restore.json'));
    await world.remove('data/config');
    const ended = await world.run(create);
    expect(ended.status).toBe('succeeded');
    expect(ended.events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'RESTORE_FINISHED' }));
    const { 'files/cache.tmp': _excluded, ...expected } = then;
    expect(await stateOf(world)).toEqual(expected);
  });

  it('that cannot be undone is said once, and keeps nothing from working', async () => {
    const made = await halfway();
    await using world = made.world;
    const { undo } = made;
    await world.must({ command: 'delete', name: undo });
    const ended = await world.run(create);
    expect(ended.status).toBe('succeeded');
    expect(ended.events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'RESTORE_UNSETTLED' }));
    const next = await world.run({ ...create, name: 'next' });
    expect(next.events.filter((e) => e.type === 'warning')).toEqual([]);
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
