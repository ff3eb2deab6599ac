import { systemClock } from '@foodsave-backup/kernel';
import { Repository } from '@foodsave-backup/repository';
import { MemoryStorage } from '@foodsave-backup/storage';
import { describe, expect, it } from 'vitest';
import { expectWhole, liveFiles } from './testing/oracle.ts';
import { flip, keysBelow } from './testing/storages.ts';
import { noise, World } from './testing/world.ts';

/** Two backups, of which the second lacks one copy of its manifest. */
async function halfThere(
  missing: 'first' | 'second',
  encryption = false,
): Promise<{ world: World; disk: MemoryStorage; files: Record<string, string>[] }> {
  const disk = new MemoryStorage();
  const world = await World.create({ storage: disk, encryption });
  await world.create('one');
  const files = [await liveFiles(world)];
  await world.write('data/files/two.bin', noise('two', 5000));
  await world.create('two');
  files.push(await liveFiles(world));
  await disk.delete(missing === 'first' ? 'two.json' : 'manifests/two.json');
  return { world, disk, files };
}

describe('a manifest of which only one copy is there', () => {
  it('the first, and all data: it does not count until the next create has looked, and then it does', async () => {
    const made = await halfThere('second');
    await using world = made.world;
    const { disk, files } = made;
    const engine = world.another();
    expect((await engine.list()).items.map((b) => b.name)).toEqual(['one']);
    expect(await world.run({ command: 'verify', name: 'two', level: 'quick' }, { engine })).toMatchObject({
      error: { code: 'BACKUP_NOT_FOUND' },
    });
    const same = await world.run({ command: 'create', name: 'TWO', trigger: 'manual' }, { engine });
    expect(same.error?.code).toBe('NAME_TAKEN');
    await world.must({ command: 'create', name: 'three', trigger: 'manual' }, engine);
    expect((await engine.list()).items.map((b) => b.name)).toEqual(['three', 'two', 'one']);
    expect(await disk.get('manifests/two.json')).toEqual(await disk.get('two.json'));
    await expectWhole(
      world,
      new Map([
        ['one', files[0]],
        ['two', files[1]],
      ]),
      engine,
    );
  });

  it('the first, and a pack is missing: it was never acknowledged and goes', async () => {
    const made = await halfThere('second', true);
    await using world = made.world;
    const { disk } = made;
    const names = await keysBelow(disk, 'meta/');
    for (const key of names) await disk.delete(key);
    const ended = await world.run({ command: 'create', name: 'three', trigger: 'manual' }, { engine: world.another() });
    expect(ended.status).toBe('succeeded');
    expect(await disk.stat('two.json')).toBeUndefined();
    expect((await world.another().list()).items.map((b) => b.name)).not.toContain('two');
    expect(await world.run({ command: 'verify', name: 'three', level: 'full' })).toMatchObject({ status: 'succeeded' });
  });

  it('the second: the first is written again by the next create or cleanup', async () => {
    for (const command of [{ command: 'create', name: 'three', trigger: 'manual' }, { command: 'cleanup' }] as const) {
      const made = await halfThere('first');
      await using world = made.world;
      const { disk, files } = made;
      const engine = world.another();
      expect((await engine.list()).items.map((b) => b.name)).toEqual(['two', 'one']);
      expect(await world.run({ command: 'check', readData: false }, { engine })).toMatchObject({ status: 'failed' });
      await world.must(command, engine);
      expect(await disk.get('two.json')).toEqual(await disk.get('manifests/two.json'));
      await expectWhole(world, new Map([['two', files[1]]]), engine);
    }
  });

  it('a damaged first copy is replaced from the second by the next cleanup, which reads them all', async () => {
    const made = await halfThere('second');
    await using world = made.world;
    const { disk, files } = made;
    await disk.put('manifests/two.json', await disk.get('two.json'));
    await flip(disk, 'two.json');
    await world.must({ command: 'cleanup' }, world.another());
    expect(await disk.get('two.json')).toEqual(await disk.get('manifests/two.json'));
    await expectWhole(world, new Map([['two', files[1]]]), world.another());
  });

  it('is left alone while another create may be about to confirm it', async () => {
    const made = await halfThere('second');
    await using world = made.world;
    const { disk } = made;
    for (const key of await keysBelow(disk, 'meta/')) await disk.delete(key);
    const other = await Repository.open(disk, { clock: systemClock, secret: undefined });
    const lease = await other.leases.acquire({ purpose: 'create', exclusive: false, waitMs: 0 });
    await world.must({ command: 'create', name: 'three', trigger: 'manual' }, world.another());
    expect(await disk.stat('two.json')).toBeDefined();
    await lease.release();
    await world.must({ command: 'create', name: 'four', trigger: 'manual' }, world.another());
    const { items } = await world.another().list();
    // What was missing has been stored again meanwhile, so that it may count now.
    if (items.some((b) => b.name === 'two')) {
      expect(await world.run({ command: 'verify', name: 'two', level: 'full' })).toMatchObject({ status: 'succeeded' });
    } else expect(await disk.stat('two.json')).toBeUndefined();
  });
});
