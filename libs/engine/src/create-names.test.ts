import { readdir } from 'node:fs/promises';
import { MemoryStorage } from '@foodsave-backup/storage';
import { SimulatedClock } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
import { World } from './testing/world.ts';
import type { CreateResult } from './types.ts';

const create = { command: 'create', trigger: 'manual' } as const;

describe('names', () => {
  it.each(['', '../x', '.hidden', 'a/b', 'x'.repeat(300), 'repository', 'Keys', 'recover.mjs', 'a b', 'ą'])(
    'refuses %j before anything is written',
    async (name) => {
      await using world = await World.create();
      const ended = await world.run({ ...create, name });
      expect(ended).toMatchObject({ status: 'failed', error: { code: 'NAME_INVALID' } });
      expect(await readdir(world.path)).toEqual(['data']);
    },
  );

  it('refuses a name that exists in another case, and one whose backup is only half there', async () => {
    const storage = new MemoryStorage();
    await using world = await World.create({ storage });
    await world.create('Nightly');
    for (const name of ['nightly', 'NIGHTLY', 'Nightly']) {
      const ended = await world.run({ ...create, name });
      expect(ended).toMatchObject({ status: 'failed', error: { code: 'NAME_TAKEN' } });
      expect(ended.error?.message).toContain('Nightly');
    }
    expect((await world.engine.list()).total).toBe(1);
  });

  it('gives two of one second different names, in UTC', async () => {
    const clock = new SimulatedClock({ autoAdvance: true });
    await using world = await World.create({ clock, storage: new MemoryStorage() });
    const names: string[] = [];
    for (let i = 0; i < 3; i++) names.push((await world.must(create)).backup.name);
    expect(names).toEqual([
      'full_backup_20261123_040000',
      'full_backup_20261123_040000_2',
      'full_backup_20261123_040000_3',
    ]);
  });

  it('two processes at once make two backups, also with the default name', async () => {
    const clock = new SimulatedClock({ autoAdvance: true });
    await using world = await World.create({ clock, storage: new MemoryStorage() });
    await world.create('first');
    const ended = await Promise.all([
      world.run(create, { engine: world.another() }),
      world.run(create, { engine: world.another() }),
    ]);
    const done = ended.filter((e) => e.status === 'succeeded').map((e) => (e.result as CreateResult).backup.name);
    expect(ended.map((e) => e.error?.code ?? 'ok').sort()).toEqual(['ok', 'ok']);
    expect(new Set(done).size).toBe(2);
  });

  it('warns when the clock is behind the newest backup, and keeps both', async () => {
    const clock = new SimulatedClock({ autoAdvance: true });
    await using world = await World.create({ clock, storage: new MemoryStorage() });
    await world.create('of-tomorrow');
    clock.jump(-86_400_000);
    const ended = await world.run({ ...create, name: 'of-today' });
    expect(ended.status).toBe('succeeded');
    expect(ended.events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'CLOCK_SKEW' }));
    expect((await world.engine.list()).items.map((b) => b.name)).toEqual(['of-tomorrow', 'of-today']);
  });
});
