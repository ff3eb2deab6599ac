import { MemoryStorage } from '@foodsave-backup/storage';
import { SimulatedClock } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
import { keysBelow } from './testing/storages.ts';
import { World } from './testing/world.ts';
import type { CleanupResult } from './types.ts';

const DAY = 86_400_000;
const HELD = { code: 'BACKUP_HELD' };

async function held(): Promise<{ world: World; disk: MemoryStorage; clock: SimulatedClock }> {
  const clock = new SimulatedClock({ start: Date.UTC(2026, 0, 1, 2), autoAdvance: true });
  const disk = new MemoryStorage({ clock });
  const retention = { daily: 1, weekly: 0, monthly: 0 };
  const world = await World.create({ clock, storage: disk, config: { retention } });
  for (const name of ['one', 'two', 'three']) {
    await world.create(name);
    await clock.advance(DAY);
  }
  return { world, disk, clock };
}

describe('a hold', () => {
  it('keeps a backup from retention and from a delete, until it is let go', async () => {
    const made = await held();
    await using world = made.world;
    const { disk } = made;
    expect(await world.engine.hold('one', { on: true, reason: 'before the migration' })).toMatchObject({
      name: 'one',
      hold: true,
      holdReason: 'before the migration',
    });
    const notes = await keysBelow(disk, 'notes/');
    expect(await world.engine.hold('one', { on: true })).toMatchObject({ holdReason: 'before the migration' });
    expect(await keysBelow(disk, 'notes/')).toEqual(notes);

    const other = world.another();
    expect((await other.list()).items.map(({ name, hold }) => [name, hold])).toEqual([
      ['three', false],
      ['two', false],
      ['one', true],
    ]);
    const refused = await world.run({ command: 'delete', name: 'one' });
    expect(refused.error).toMatchObject({ ...HELD, hint: expect.stringContaining('unhold one') as string });
    const cleaned = await world.must<CleanupResult>({ command: 'cleanup' });
    expect(cleaned.deleted.map(({ name }) => name)).toEqual(['two']);
    expect(cleaned.kept.find(({ name }) => name === 'one')?.reasons).toContain('held');

    const free = await other.hold('one', { on: false });
    expect(free.hold).toBe(false);
    expect(free).not.toHaveProperty('holdReason');
    expect((await other.hold('three', { on: false })).hold).toBe(false);
    expect((await world.must<CleanupResult>({ command: 'cleanup' })).deleted.map(({ name }) => name)).toEqual(['one']);
    expect(await keysBelow(disk, 'notes/')).toEqual([]);
  });

  it('that was said last counts, however close they follow each other', async () => {
    const made = await held();
    await using world = made.world;
    for (let i = 0; i < 12; i++) {
      const on = i % 2 === 0;
      expect((await world.engine.hold('two', { on })).hold).toBe(on);
      expect((await world.another().show('two')).hold).toBe(on);
    }
  });

  it('that would not count, because the clock stands behind, is an error', async () => {
    const made = await held();
    await using world = made.world;
    await world.engine.hold('one', { on: true });
    const clock = new SimulatedClock({ start: Date.UTC(2025, 0, 1), autoAdvance: true });
    const behind = world.another({ clock });
    await expect(behind.hold('one', { on: false })).rejects.toMatchObject({ code: 'CLOCK_SKEW' });
    expect((await world.engine.show('one')).hold).toBe(true);
  });

  it('whose note cannot be read keeps retention from deleting anything', async () => {
    const made = await held();
    await using world = made.world;
    const { disk } = made;
    await world.engine.hold('one', { on: true });
    const [key = ''] = await keysBelow(disk, 'notes/');
    await disk.put(key, Buffer.from('damaged'));
    const ended = await world.run({ command: 'cleanup' }, { engine: world.another() });
    expect(ended.status).toBe('partial');
    expect(ended.result).toMatchObject({ deleted: [], blocked: expect.stringContaining(key) as string });
    await disk.delete(key);
    const freed = await world.must<CleanupResult>({ command: 'cleanup' }, world.another());
    expect(freed.deleted).toHaveLength(2);
  });

  it('stands while the manifest cannot be read, and can be let go of', async () => {
    const made = await held();
    await using world = made.world;
    const { disk } = made;
    await world.engine.hold('one', { on: true });
    for (const key of ['one.json', 'manifests/one.json']) await disk.put(key, Buffer.from('damaged'));
    expect((await world.engine.list()).items.find(({ name }) => name === 'one')).toMatchObject({ hold: true, id: '' });
    expect((await world.run({ command: 'delete', name: 'one' })).error).toMatchObject(HELD);
    await expect(world.engine.hold('one', { on: true })).rejects.toMatchObject({ code: 'MANIFEST_DAMAGED' });
    expect(await world.engine.hold('one', { on: false })).toMatchObject({ status: 'damaged', hold: false });
    await world.must({ command: 'delete', name: 'one' });
  });

  it('keeps a backup that has lost its second manifest and its data from being taken for one never made', async () => {
    const made = await held();
    await using world = made.world;
    const { disk } = made;
    await world.write('data/files/only.bin', 'only in the last one');
    await world.create('four');
    await world.engine.hold('four', { on: true });
    await disk.delete('manifests/four.json');
    for (const key of await keysBelow(disk, 'files/')) await disk.delete(key);
    await world.run({ command: 'cleanup' }, { engine: world.another() });
    expect(await disk.stat('four.json')).toBeDefined();
  });

  it('is refused of a backup that does not exist, and with a reason that is none', async () => {
    const made = await held();
    await using world = made.world;
    await expect(world.engine.hold('none', { on: true })).rejects.toMatchObject({ code: 'BACKUP_NOT_FOUND' });
    for (const reason of ['', 'two\nlines', 'x'.repeat(501)]) {
      await expect(world.engine.hold('one', { on: true, reason })).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    }
  });
});
