import { LeaseStore } from '@foodsave-backup/repository';
import { MemoryStorage } from '@foodsave-backup/storage';
import { SimulatedClock } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
import { expectWhole, liveFiles } from './testing/oracle.ts';
import { contentsOf, flip, keysBelow } from './testing/storages.ts';
import { noise, World } from './testing/world.ts';
import type { CheckView, CleanupResult, CreateResult, DeleteResult, RestoreResult } from './types.ts';

const DAY = 86_400_000;
const create = { command: 'create', trigger: 'schedule' } as const;

async function timeWorld(
  policy = { daily: 7, weekly: 4, monthly: 12 },
): Promise<{ world: World; disk: MemoryStorage; clock: SimulatedClock }> {
  const clock = new SimulatedClock({ start: Date.UTC(2026, 0, 1, 2), autoAdvance: true });
  const disk = new MemoryStorage({ clock });
  const world = await World.create({ clock, storage: disk, config: { retention: policy } });
  return { world, disk, clock };
}

describe('cleanup', () => {
  it('over 60 days keeps grandfather, father and son with reasons, frees packs, and every kept backup restores byte for byte', async () => {
    const made = await timeWorld();
    await using world = made.world;
    const { disk, clock } = made;
    const files = new Map<string, Record<string, string>>();
    let freed = 0;
    for (let day = 0; day < 60; day++) {
      await world.write('data/files/daily.bin', noise(`day ${day}`, 3000));
      await world.write(`data/files/log/${day % 9}.txt`, `day ${day}\n`);
      const { backup } = await world.must(create);
      files.set(backup.name, await liveFiles(world));
      if (day % 7 === 6) {
        const dry = await world.must<CleanupResult>({ command: 'cleanup', dryRun: true });
        const before = await contentsOf(disk);
        const real = await world.must<CleanupResult>({ command: 'cleanup' });
        expect({ ...real, dryRun: true }).toEqual(dry);
        const after = await contentsOf(disk);
        const bytes = (of: Record<string, string>): number =>
          Object.entries(of).reduce((sum, [key, body]) => sum + (key.endsWith('.pack') ? body.length : 0), 0);
        expect(bytes(before) - bytes(after)).toBe(real.freedBytes);
        freed += real.freedBytes;
        for (const { name, reason } of real.deleted) {
          expect(reason).not.toBe('');
          files.delete(name);
        }
        for (const { reasons } of real.kept) expect(reasons.length).toBeGreaterThan(0);
      }
      await clock.advance(DAY);
    }
    expect(freed).toBeGreaterThan(30_000);
    const { kept } = await world.must<CleanupResult>({ command: 'cleanup' });
    const names = kept.map((k) => k.name);
    const today = kept.find((k) => k.name === 'full_backup_20260301_020000');
    expect(today?.reasons).toEqual(
      expect.arrayContaining(['newest of day 2026-03-01', 'newest of month 2026-03', 'newest complete']),
    );
    // Seven days, the Sundays before them, the ends of the months.
    expect(names).toEqual(
      ['0301', '0228', '0227', '0226', '0225', '0224', '0223', '0222', '0215', '0208', '0131'].map(
        (d) => `full_backup_2026${d}_020000`,
      ),
    );
    const expected = new Map([...files].filter(([name]) => names.includes(name)));
    expect(expected.size).toBe(names.length);
    await expectWhole(world, expected, world.another());
    const check = await world.must<CheckView>({ command: 'check', readData: true });
    expect(check).toMatchObject({ status: 'ok', unreferencedPacks: 0 });
    expect((await world.engine.list()).items.find((b) => b.name === names[0])?.tiers).toEqual([
      'daily',
      'weekly',
      'monthly',
    ]);
  });

  it('lets safety backups expire after seven days, and never the newest complete one', async () => {
    const made = await timeWorld({ daily: 1, weekly: 0, monthly: 0 });
    await using world = made.world;
    const { clock } = made;
    await world.create('one');
    await world.write('data/files/a.txt', 'changed\n');
    await clock.advance(1000);
    const { undo = '' } = await world.must<RestoreResult>({ command: 'restore', name: 'one' });
    await clock.advance(6.9 * DAY);
    expect((await world.must<CleanupResult>({ command: 'cleanup' })).deleted).toEqual([]);
    await world.create('two');
    await clock.advance(0.2 * DAY);
    const { deleted, kept } = await world.must<CleanupResult>({ command: 'cleanup' });
    expect(deleted.map((d) => d.name).sort()).toEqual(['one', undo].sort());
    expect(deleted.find((d) => d.name === undo)?.reason).toContain('safety');
    expect(kept.map((k) => k.name)).toEqual(['two']);
    await clock.advance(400 * DAY);
    expect((await world.must<CleanupResult>({ command: 'cleanup' })).deleted).toEqual([]);
  });

  it('keeps the newest that was fully verified, and what is dated in the future', async () => {
    const made = await timeWorld({ daily: 1, weekly: 0, monthly: 0 });
    await using world = made.world;
    const { clock } = made;
    await world.create('verified');
    await world.must({ command: 'verify', name: 'verified', level: 'full' });
    await clock.advance(2 * DAY);
    await world.create('of-the-future');
    clock.jump(-DAY);
    await world.create('newest');
    await clock.advance(1000);
    const { kept, deleted } = await world.must<CleanupResult>({ command: 'cleanup' });
    expect(deleted).toEqual([]);
    expect(kept.find((k) => k.name === 'verified')?.reasons).toContain('newest fully verified');
    expect(kept.find((k) => k.name === 'of-the-future')?.reasons.join()).toContain('dated in the future');
  });

  it('deletes nothing while a manifest cannot be read, and says so', async () => {
    const made = await timeWorld({ daily: 1, weekly: 0, monthly: 0 });
    await using world = made.world;
    const { disk, clock } = made;
    for (const name of ['one', 'two', 'three']) {
      await world.create(name);
      await clock.advance(1000);
    }
    await flip(disk, 'two.json');
    await flip(disk, 'manifests/two.json');
    const before = await contentsOf(disk);
    const engine = world.another();
    for (const dryRun of [true, false]) {
      const ended = await world.run({ command: 'cleanup', dryRun }, { engine });
      expect(ended.status).toBe('partial');
      expect(ended.result).toMatchObject({
        deleted: [],
        freedBytes: 0,
        blocked: expect.stringContaining('manifest') as string,
      });
    }
    expect(await contentsOf(disk)).toEqual(before);
    await flip(disk, 'two.json');
    const { deleted } = await world.must<CleanupResult>({ command: 'cleanup' }, world.another());
    expect(deleted.map((d) => d.name).sort()).toEqual(['one', 'two']);
    expect(await keysBelow(disk, 'manifests/')).toEqual(['manifests/repository.json', 'manifests/three.json']);
  });

  it('frees no space while a backup lacks a pack, for what it needs is unknown', async () => {
    const made = await timeWorld({ daily: 1, weekly: 0, monthly: 0 });
    await using world = made.world;
    const { disk, clock } = made;
    await world.create('one');
    await clock.advance(DAY);
    await world.write('data/files/a.txt', noise('a', 3000));
    const before = await keysBelow(disk, 'meta/');
    await world.create('two');
    await clock.advance(DAY);
    // Trees of the backup that is kept.
    const lost = (await keysBelow(disk, 'meta/')).filter((key) => !before.includes(key));
    expect(lost).not.toEqual([]);
    for (const key of lost) await disk.delete(key);
    const packs = await keysBelow(disk, 'files/');
    const ended = await world.run({ command: 'cleanup' }, { engine: world.another() });
    expect(ended.status).toBe('partial');
    expect((ended.result as CleanupResult).blocked).toContain('No space is freed');
    expect(await keysBelow(disk, 'files/')).toEqual(packs);
  });

  it('that is cancelled between two deletions leaves a whole repository', async () => {
    const made = await timeWorld({ daily: 1, weekly: 0, monthly: 0 });
    await using world = made.world;
    const { clock } = made;
    for (let i = 0; i < 5; i++) {
      await world.write('data/files/a.txt', noise(`v${i}`, 2000));
      await world.create(`b${i}`);
      await clock.advance(60_000);
    }
    const files = await liveFiles(world);
    const ended = await world.run(
      { command: 'cleanup' },
      {
        during: (run, event) => {
          if (event.type === 'progress' && event.progress.phase === 'plan') run.cancel('enough');
        },
      },
    );
    expect(ended.status).toBe('cancelled');
    await expectWhole(world, new Map([['b4', files]]));
    await world.must({ command: 'cleanup' });
    await expectWhole(world, new Map([['b4', files]]));
  });

  it('runs beside a create, whose new packs it leaves alone, and keeps out another that deletes', async () => {
    const made = await timeWorld();
    await using world = made.world;
    const { disk, clock } = made;
    await world.create('one');
    await clock.advance(DAY);
    const leases = new LeaseStore(disk, clock);
    const lease = await leases.acquire({ purpose: 'create', exclusive: false, waitMs: 0 });
    const key = `files/${'ab'.repeat(32)}.pack`;
    await disk.put(key, Buffer.from('not finished yet'));
    await world.must({ command: 'cleanup' }, world.another());
    expect(await disk.stat(key)).toBeDefined();
    await lease.release();
    expect(await world.must<CleanupResult>({ command: 'cleanup' }, world.another())).toMatchObject({ packs: 1 });
    expect(await disk.stat(key)).toBeUndefined();
    for (const purpose of ['cleanup', 'delete', 'hold', 'settle']) {
      const other = await leases.acquire({ purpose, exclusive: false, waitMs: 0 });
      const ended = await world.run({ command: 'cleanup' }, { engine: world.another() });
      expect(ended).toMatchObject({ status: 'failed', error: { code: 'LOCKED' } });
      expect(ended.error?.message).toContain(`"${purpose}"`);
      await other.release();
    }
    await expectWhole(world, new Map(), world.another());
  });
});

describe('delete', () => {
  it('removes one backup and what only it needs; a second time it is not found', async () => {
    const made = await timeWorld();
    await using world = made.world;
    const { disk, clock } = made;
    await world.create('one');
    const files = await liveFiles(world);
    await world.write('data/files/only-in-two.bin', noise('two', 8000));
    await clock.advance(1000);
    await world.create('two');
    await world.must({ command: 'verify', name: 'two', level: 'quick' });
    await clock.advance(1000);
    await world.remove('data/files/only-in-two.bin');
    await world.create('three');
    const result = await world.must<DeleteResult>({ command: 'delete', name: 'two' });
    expect(result).toMatchObject({ name: 'two' });
    expect(result.freedBytes).toBeGreaterThan(8000);
    expect(await keysBelow(disk, 'notes/')).toEqual([]);
    expect((await world.engine.list()).items.map((b) => b.name)).toEqual(['three', 'one']);
    await expectWhole(
      world,
      new Map([
        ['one', files],
        ['three', files],
      ]),
    );
    expect(await world.run({ command: 'delete', name: 'two' })).toMatchObject({
      status: 'failed',
      error: { code: 'BACKUP_NOT_FOUND' },
    });
    // The name is free again.
    const again = (await world.must({ ...create, name: 'two' })) satisfies CreateResult;
    expect(again.backup.name).toBe('two');
  });

  it('removes several with one prune, each once; one that is unknown or held keeps all of them', async () => {
    const made = await timeWorld();
    await using world = made.world;
    const { disk, clock } = made;
    for (const name of ['one', 'two', 'three', 'four']) {
      await world.write('data/files/changing.bin', noise(name, 8000));
      await world.create(name);
      await clock.advance(1000);
    }
    await world.engine.hold('three', { on: true });
    await world.must({ command: 'verify', name: 'two', level: 'quick' });
    const before = await contentsOf(disk);
    for (const [also, error] of [
      [['two', 'nothing'], { code: 'BACKUP_NOT_FOUND' }],
      [['three', 'two'], { code: 'BACKUP_HELD', message: expect.stringContaining('"three"') as string }],
    ] as const) {
      const refused = await world.run({ command: 'delete', name: 'one', also });
      expect(refused).toMatchObject({ status: 'failed', error });
      expect(refused.error?.hint).toContain('Nothing was deleted.');
      expect(await contentsOf(disk)).toEqual(before);
    }
    await world.engine.hold('three', { on: false });
    const result = await world.must<DeleteResult>({ command: 'delete', name: 'one', also: ['two', 'one', 'three'] });
    expect(result).toMatchObject({ name: 'one', also: ['two', 'three'] });
    expect(result.packs).toBeGreaterThanOrEqual(3);
    expect(result.freedBytes).toBeGreaterThan(24_000);
    expect(await keysBelow(disk, 'notes/')).toEqual([]);
    await expectWhole(world, new Map([['four', await liveFiles(world)]]));
    expect(await world.must<CheckView>({ command: 'check', readData: true })).toMatchObject({ unreferencedPacks: 0 });
  });

  it('also removes a backup whose manifest is damaged, after which cleanup works again', async () => {
    const made = await timeWorld();
    await using world = made.world;
    const { disk } = made;
    await world.create('one');
    await world.create('two');
    await flip(disk, 'two.json');
    await flip(disk, 'manifests/two.json');
    const engine = world.another();
    expect(await world.run({ command: 'cleanup' }, { engine })).toMatchObject({ status: 'partial' });
    await world.must({ command: 'delete', name: 'two' }, engine);
    expect(await world.run({ command: 'cleanup' }, { engine })).toMatchObject({ status: 'succeeded' });
  });
});
