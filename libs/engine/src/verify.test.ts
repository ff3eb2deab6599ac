import { MemoryStorage } from '@foodsave-backup/storage';
import { SimulatedClock } from '@foodsave-backup/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { altered, flip, keysBelow, PACK_FOLDERS, truncate } from './testing/storages.ts';
import { World } from './testing/world.ts';
import { CHECKSUMS_OFF, type CheckView, type VerifyResult } from './types.ts';

const verify = (name: string, level: 'quick' | 'full') => ({ command: 'verify', name, level }) as const;

/** One backup of everything, made once; each test works on a copy of it. */
let world: World;
let whole: MemoryStorage;
beforeAll(async () => {
  whole = new MemoryStorage();
  world = await World.create({ kinds: ['database', 'files', 'config', 'vector_store'], storage: whole });
  await world.create('one');
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

const FILE_OF = {
  'database/': ['database:main', 'data/app.db'],
  'files/': ['files', 'data/files'],
  'config/': ['config', 'data/config/app.json'],
  'vector_store/': ['vector_store', 'data/vectors'],
} as const;

describe('a whole backup', () => {
  it('is ok at both levels, and the list shows the strongest', async () => {
    const engine = world.another({ storage: whole.clone() });
    expect((await engine.show('one')).verification).toMatchObject({ level: 'new', status: 'ok' });
    const quick = await world.must<VerifyResult>(verify('one', 'quick'), engine);
    expect(quick).toMatchObject({ status: 'ok', checkedBytes: 0, checkedFiles: 0, damaged: [] });
    // Its new data was read back when it was made, which is more than a quick look.
    expect((await engine.show('one')).verification).toMatchObject({ level: 'new', status: 'ok' });
    const full = await world.must<VerifyResult>(verify('one', 'full'), engine);
    const { sizeBytes } = await engine.show('one');
    expect(full).toMatchObject({ status: 'ok', checkedBytes: sizeBytes, damaged: [], notes: [] });
    expect((await engine.list()).items[0]?.verification).toMatchObject({ level: 'full', status: 'ok' });
    await world.must(verify('one', 'quick'), engine);
    expect((await engine.show('one')).verification).toMatchObject({ level: 'full', status: 'ok' });
  });

  it('is not called verified with checksums off', async () => {
    const engine = world.another({ storage: whole.clone(), config: { checksums: false } });
    const result = await world.must<VerifyResult>(verify('one', 'full'), engine);
    expect(result.notes).toContain(CHECKSUMS_OFF);
    expect(result.checkedBytes).toBe(0);
    expect((await engine.show('one')).verification.level).not.toBe('full');
    const check = await world.must<CheckView>({ command: 'check', readData: true }, engine);
    expect(check).toMatchObject({ checkedBytes: 0, notes: [CHECKSUMS_OFF] });
  });

  it('that does not exist is not found, with the name that was meant', async () => {
    const ended = await world.run(verify('ONE', 'quick'));
    expect(ended).toMatchObject({ status: 'failed', error: { code: 'BACKUP_NOT_FOUND' } });
    expect(ended.error?.hint).toContain('"one"');
  });
});

describe.each(Object.entries(FILE_OF))('damage in %s', (folder, [component, path]) => {
  it('one flipped bit in any of 5 places: full says damaged and names component and file, and quick claims no more than presence', async () => {
    const [pack] = await keysBelow(whole, folder);
    const size = (await whole.stat(pack ?? ''))?.size ?? 0;
    let found = 0;
    for (let i = 0; i < 5; i++) {
      const at = Math.floor(((i + 0.5) / 5) * size);
      const disk = whole.clone();
      await flip(disk, pack ?? '', at);
      const engine = world.another({ storage: disk });
      const quick = await world.run(verify('one', 'quick'), { engine });
      if (quick.status === 'succeeded') expect(quick.result).toMatchObject({ checkedBytes: 0, level: 'quick' });
      const full = await world.run(verify('one', 'full'), { engine });
      const check = await world.run({ command: 'check', readData: true }, { engine });
      expect(check).toMatchObject({ status: 'failed', error: { code: 'DATA_DAMAGED' } });
      expect(JSON.stringify((check.result as CheckView).damaged)).toContain(pack);
      if (full.status === 'succeeded') {
        // Header and directory of a pack are not needed for reading it: then everything must indeed come back.
        const target = world.join(`flipped-${component.replace(':', '')}-${i}`);
        const restored = await world.run(
          { command: 'restore', name: 'one', components: [component], target },
          { engine },
        );
        expect(restored.status).toBe('succeeded');
        continue;
      }
      found++;
      expect(full.error?.code).toBe('VERIFICATION_FAILED');
      expect(full.error?.message).toMatch(/^Verification failed/);
      const { damaged, status } = full.result as VerifyResult;
      expect(status).toBe('damaged');
      expect(damaged.length).toBeGreaterThan(0);
      for (const d of damaged) expect(d).toMatchObject({ component });
      expect(damaged.some((d) => d.path.startsWith(path))).toBe(true);
    }
    expect(found).toBeGreaterThan(0);
  });

  it.each(['truncated', 'missing'] as const)('%s pack: quick finds it, and a note tells the list', async (how) => {
    const [pack = ''] = await keysBelow(whole, folder);
    const disk = whole.clone();
    if (how === 'missing') await disk.delete(pack);
    else await truncate(disk, pack);
    const engine = world.another({ storage: disk });
    const quick = await world.run(verify('one', 'quick'), { engine });
    expect(quick).toMatchObject({ status: 'failed', error: { code: 'VERIFICATION_FAILED' } });
    expect(
      (quick.result as VerifyResult).damaged.some((d) => d.component === component && d.path.startsWith(path)),
    ).toBe(true);
    const { items } = await engine.list();
    expect(items[0]).toMatchObject({ status: 'damaged', verification: { status: 'damaged', level: 'quick' } });
    expect((await engine.list({ status: 'damaged' })).total).toBe(1);
    expect((await engine.health()).indicators['lastBackup']).toMatchObject({ status: 'down' });
  });
});

describe('damage in the trees', () => {
  it('one flipped bit in any of 5 places of the meta pack is found', async () => {
    const [pack = ''] = await keysBelow(whole, 'meta/');
    const size = (await whole.stat(pack))?.size ?? 0;
    let damaged = 0;
    for (let i = 0; i < 5; i++) {
      const disk = whole.clone();
      await flip(disk, pack, Math.floor(((i + 0.5) / 5) * size));
      const ended = await world.run(verify('one', 'full'), { engine: world.another({ storage: disk }) });
      if (ended.status === 'failed') {
        damaged++;
        expect((ended.result as VerifyResult).damaged.length).toBeGreaterThan(0);
      }
      expect(
        (await world.run({ command: 'check', readData: true }, { engine: world.another({ storage: disk }) })).status,
      ).toBe('failed');
    }
    expect(damaged).toBeGreaterThan(0);
  });
});

describe('what is remembered of a verification', () => {
  it('damage stays until a full look finds none; a quick one cannot take back what a full one found', async () => {
    const clock = new SimulatedClock({ autoAdvance: true });
    const disk = whole.clone();
    const [pack = ''] = await keysBelow(disk, 'files/');
    await flip(disk, pack, 200);
    const engine = world.another({ storage: disk, clock });
    await world.run(verify('one', 'full'), { engine });
    expect((await engine.show('one')).status).toBe('damaged');
    await clock.advance(1000);
    await world.run(verify('one', 'quick'), { engine });
    expect((await engine.show('one')).status).toBe('damaged');
    // The operator puts the pack back from another copy.
    await flip(disk, pack, 200);
    await clock.advance(1000);
    const again = world.another({ storage: disk, clock });
    expect(await world.run(verify('one', 'full'), { engine: again })).toMatchObject({ status: 'succeeded' });
    expect(await again.show('one')).toMatchObject({
      status: 'complete',
      verification: { level: 'full', status: 'ok' },
    });
  });

  it('a storage that takes no note does not change the result', async () => {
    const disk = whole.clone();
    const storage = altered(disk, {
      put: (key, body, options) =>
        key.startsWith('notes/') ? Promise.reject(new Error('EIO')) : disk.put(key, body, options),
    });
    const ended = await world.run(verify('one', 'full'), { engine: world.another({ storage }) });
    expect(ended.status).toBe('succeeded');
    expect((ended.result as VerifyResult).notes.join()).toContain('could not be noted');
  });

  it('is nothing after a cancel', async () => {
    const disk = whole.clone();
    const engine = world.another({ storage: disk });
    const ended = await world.run(verify('one', 'full'), {
      engine,
      during: (run, event) => {
        if (event.type === 'progress') run.cancel('enough');
      },
    });
    expect(ended.status).toBe('cancelled');
    expect(await keysBelow(disk, 'notes/')).toEqual([]);
    expect(await keysBelow(disk, 'locks/')).toEqual([]);
  });
});

it('check reads every byte of the repository, or the share that it is asked for', async () => {
  const engine = world.another({ storage: whole.clone() });
  let total = 0;
  for (const folder of PACK_FOLDERS)
    for (const key of await keysBelow(whole, folder)) total += (await whole.stat(key))?.size ?? 0;
  const all = await world.must<CheckView>({ command: 'check', readData: true }, engine);
  expect(all).toMatchObject({
    status: 'ok',
    backups: 1,
    checkedBytes: total,
    unreferencedPacks: 0,
    unconfirmed: [],
    notes: [],
  });
  expect((await world.must<CheckView>({ command: 'check', readData: false }, engine)).checkedBytes).toBe(0);
  let parts = 0;
  for (const n of [1, 2, 3])
    parts += (await world.must<CheckView>({ command: 'check', readData: true, subset: { n, t: 3 } }, engine))
      .checkedBytes;
  expect(parts).toBe(total);
});
