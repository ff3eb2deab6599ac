import { MemoryStorage } from '@foodsave-backup/storage';
import { SimulatedClock } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
import { flip } from './testing/storages.ts';
import { noise, World } from './testing/world.ts';
import type { BackupView } from './types.ts';

async function history(count: number): Promise<{ world: World; disk: MemoryStorage; clock: SimulatedClock }> {
  const clock = new SimulatedClock({ autoAdvance: true });
  const disk = new MemoryStorage({ clock });
  const world = await World.create({ kinds: ['files', 'config'], clock, storage: disk });
  for (let i = 0; i < count; i++) {
    await world.must({
      command: 'create',
      name: `b${i}`,
      trigger: 'manual',
      tags: i % 2 === 0 ? ['even'] : [],
      ...(i === 1 ? { components: ['config'] } : {}),
    });
    await clock.advance(1000);
  }
  return { world, disk, clock };
}

const names = (items: readonly BackupView[]): string[] => items.map((b) => b.name);

describe('the list', () => {
  it('is newest first, and its pages do not shift when backups are made or deleted meanwhile', async () => {
    const made = await history(7);
    await using world = made.world;
    const first = await world.engine.list({ limit: 3 });
    expect(names(first.items)).toEqual(['b6', 'b5', 'b4']);
    expect(first.total).toBe(7);
    await world.create('newer');
    await world.must({ command: 'delete', name: 'b4' });
    const second = await world.engine.list({ limit: 3, cursor: first.nextCursor ?? '' });
    expect(names(second.items)).toEqual(['b3', 'b2', 'b1']);
    const third = await world.engine.list({ limit: 3, cursor: second.nextCursor ?? '' });
    expect(names(third.items)).toEqual(['b0']);
    expect(third.nextCursor).toBeUndefined();
  });

  it('pages also through backups of one instant, and through those whose manifest cannot be read', async () => {
    const clock = new SimulatedClock();
    const disk = new MemoryStorage({ clock });
    await using world = await World.create({ clock, storage: disk });
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await world.create(name);
    for (const name of ['b', 'd', 'e']) {
      await flip(disk, `${name}.json`);
      await flip(disk, `manifests/${name}.json`);
    }
    const engine = world.another();
    const seen: string[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < 10; page++) {
      const { items, nextCursor, total } = await engine.list({ limit: 1, ...(cursor === undefined ? {} : { cursor }) });
      expect(total).toBe(6);
      seen.push(...names(items));
      if (nextCursor === undefined) break;
      cursor = nextCursor;
    }
    expect([...seen].sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
    const damaged = await engine.list({ status: 'damaged' });
    expect(names(damaged.items)).toEqual(['b', 'd', 'e']);
    expect(damaged.items[0]).toMatchObject({ status: 'damaged', error: { code: 'MANIFEST_DAMAGED' } });
    await expect(engine.show('b')).rejects.toMatchObject({ code: 'MANIFEST_DAMAGED' });
  });

  it('filters by status, component, name and tag, and counts what it filters', async () => {
    const made = await history(4);
    await using world = made.world;
    const of = async (query: object): Promise<string[]> => names((await world.engine.list(query)).items);
    expect(await of({ component: 'files' })).toEqual(['b3', 'b2', 'b0']);
    expect(await of({ component: 'config' })).toHaveLength(4);
    expect(await of({ component: 'database' })).toEqual([]);
    expect(await of({ status: 'partial' })).toEqual([]);
    expect(await of({ status: 'complete' })).toHaveLength(4);
    expect(await of({ q: 'B2' })).toEqual(['b2']);
    expect(await of({ q: 'EVEN' })).toEqual(['b2', 'b0']);
    expect((await world.engine.list({ q: 'even', limit: 1 })).total).toBe(2);
  });

  it.each(['nonsense', '', Buffer.from('[1,2]').toString('base64url'), Buffer.from('{}').toString('base64url')])(
    'refuses the cursor %j',
    async (cursor) => {
      await using world = await World.create({ storage: new MemoryStorage() });
      await world.create('one');
      await expect(world.engine.list({ cursor })).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    },
  );

  it('takes limits out of range for the nearest that it knows', async () => {
    const made = await history(3);
    await using world = made.world;
    expect((await world.engine.list({ limit: 0 })).items).toHaveLength(1);
    expect((await world.engine.list({ limit: -5 })).items).toHaveLength(1);
    expect((await world.engine.list({ limit: 1e9 })).items).toHaveLength(3);
  });
});

describe('the tree', () => {
  it('shows the directories of all components together, and each by itself', async () => {
    await using world = await World.create({
      kinds: ['files', 'config', 'vector_store'],
      storage: new MemoryStorage(),
    });
    await world.create('one');
    const paths = async (path: string, component?: string): Promise<string[]> =>
      (await world.engine.tree('one', path, component)).entries.map((e) => e.path);
    expect(await paths('')).toEqual(['data']);
    expect(await paths('data')).toEqual(['data/config', 'data/files', 'data/vectors']);
    expect(await paths('/data/')).toEqual(await paths('data'));
    expect(await paths('data', 'config')).toEqual(['data/config']);
    expect(await paths('data/files')).toEqual([
      'data/files/a.txt',
      'data/files/empty',
      'data/files/link',
      'data/files/sub',
    ]);
    const { entries } = await world.engine.tree('one', 'data/files');
    expect(entries.find((e) => e.path.endsWith('link'))).toMatchObject({ type: 'symlink', linkTarget: 'a.txt' });
    expect(entries.find((e) => e.path.endsWith('a.txt'))).toMatchObject({
      type: 'file',
      sizeBytes: 6,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    expect(entries.find((e) => e.path.endsWith('sub'))).toMatchObject({
      type: 'directory',
      sizeBytes: 20_005,
      files: 2,
    });
    const [top] = (await world.engine.tree('one', '')).entries;
    const { sizeBytes } = await world.engine.show('one');
    expect(top).toMatchObject({ type: 'directory', sizeBytes });
    expect(await paths('data/files/a.txt')).toEqual(['data/files/a.txt']);
    for (const path of ['data/none', 'data/files/a.txt/b', '../etc']) {
      await expect(world.engine.tree('one', path)).rejects.toMatchObject({ code: 'PATH_NOT_FOUND' });
    }
    await expect(world.engine.tree('one', '', 'queue')).rejects.toMatchObject({ code: 'COMPONENT_UNKNOWN' });
    await expect(world.engine.tree('two', '')).rejects.toMatchObject({ code: 'BACKUP_NOT_FOUND' });
  });
});

describe('stats', () => {
  it('count what there is, by component and by folder', async () => {
    const made = await history(3);
    await using world = made.world;
    const { disk } = made;
    await world.write('data/files/more.bin', noise('more', 7000));
    const { backup } = await world.create('grown');
    const stats = await world.engine.stats();
    let stored = 0;
    for (const folder of ['files/', 'config/', 'meta/']) for await (const { size } of disk.list(folder)) stored += size;
    expect(stats).toMatchObject({
      backups: 4,
      complete: 4,
      partial: 0,
      damaged: 0,
      storedBytes: stored,
      newest: backup.createdAt,
    });
    const { items } = await world.engine.list();
    expect(stats.logicalBytes).toBe(items.reduce((sum, b) => sum + b.sizeBytes, 0));
    expect(stats.dedupRatio).toBeCloseTo(stats.logicalBytes / stored, 1);
    expect(stats.byComponent['files']).toMatchObject({ backups: 3 });
    expect(stats.byComponent['config']).toMatchObject({ backups: 4 });
    expect(stats.growth.map((g) => g.name)).toEqual(['b0', 'b1', 'b2', 'grown']);
    expect(stats.growth.at(-1)?.storedBytes).toBeGreaterThan(7000);
    expect(Object.keys(stats.byFolder).sort()).toEqual(['config', 'files', 'meta']);
  });

  it('of a new repository are zero', async () => {
    await using world = await World.create({ storage: new MemoryStorage() });
    await world.must({ command: 'init' });
    expect(await world.engine.stats()).toMatchObject({
      backups: 0,
      logicalBytes: 0,
      storedBytes: 0,
      dedupRatio: 0,
      packs: 0,
      growth: [],
    });
    expect(await world.engine.list()).toEqual({ items: [], total: 0 });
  });
});
