import { MemoryStorage } from '@foodsave-backup/storage';
import { describe, expect, it } from 'vitest';
import { keysBelow } from './testing/storages.ts';
import type { CheckView, RepairResult, RestoreResult, VerifyResult } from './types.ts';
import { treeOf, World } from './testing/world.ts';

async function flipMiddle(storage: MemoryStorage, key: string): Promise<void> {
  const bytes = Buffer.from(await storage.get(key));
  bytes[bytes.length >> 1]! ^= 1;
  await storage.put(key, bytes);
}

/** The pack with the contents of the files. */
async function contentPack(storage: MemoryStorage): Promise<string> {
  const [key = ''] = await keysBelow(storage, 'files/');
  return key;
}

describe('damage', () => {
  it.each(['verify', 'restore', 'check'] as const)(
    'that %s finds is not relied on by the next backup, and the older one is whole again',
    async (finder) => {
      const storage = new MemoryStorage();
      await using world = await World.create({ storage, encryption: true });
      await world.create('one');
      const key = await contentPack(storage);
      await flipMiddle(storage, key);
      if (finder === 'verify') {
        const ended = await world.run({ command: 'verify', name: 'one', level: 'full' });
        expect(ended.status).toBe('failed');
        expect((ended.result as VerifyResult).notes.join()).toContain(key);
      } else if (finder === 'check') {
        const ended = await world.run({ command: 'check', readData: true });
        expect(ended.error?.message).toContain('in one backup cannot be restored whole');
        expect((ended.result as CheckView).affected.backups).toEqual(['one']);
      } else {
        const ended = await world.run({ command: 'restore', name: 'one', target: world.join('damaged') });
        expect(ended.status).toBe('partial');
        expect((ended.result as RestoreResult).failed.length).toBeGreaterThan(0);
        expect(ended.events.some((event) => event.type === 'warning' && event.code === 'PACK_DAMAGED')).toBe(true);
      }
      const two = await world.create('two');
      expect(two.notes.join()).toContain(key);
      for (const name of ['one', 'two']) {
        await world.must({ command: 'restore', name, target: world.join(name) });
        const wanted = await treeOf(world.join('data/files'));
        delete wanted['cache.tmp'];
        expect(await treeOf(world.join(name, 'data/files'))).toEqual(wanted);
      }
      const report = await world.must<RepairResult>({ command: 'repair', what: 'packs' });
      expect(report.actions.filter(({ did }) => did !== 'rebuilt')).toMatchObject([{ did: 'quarantined', what: key }]);
      expect((await world.must<CheckView>({ command: 'check', readData: true })).affected.fileCount).toBe(0);
    },
  );

  it('that cannot be mended makes a repair partial, and names what is lost', async () => {
    const storage = new MemoryStorage();
    await using world = await World.create({ storage });
    await world.create('one');
    await storage.delete(await contentPack(storage));
    const planned = await world.run({ command: 'repair', what: 'packs', dryRun: true });
    expect(await keysBelow(storage, 'index/')).toHaveLength(1);
    const ended = await world.run({ command: 'repair', what: 'packs' });
    expect(ended.status).toBe('partial');
    expect({ ...(planned.result as RepairResult), dryRun: false }).toEqual(ended.result);
    expect((ended.result as RepairResult).affected.backups).toEqual(['one']);
    await world.create('two');
    expect((await world.must<CheckView>({ command: 'check', readData: true })).status).toBe('ok');
  });

  it('of the files for recovery is told, and mended by the next backup', async () => {
    const storage = new MemoryStorage();
    await using world = await World.create({ storage });
    await world.create('one');
    await flipMiddle(storage, 'RECOVERY.md');
    const report = await world.must<CheckView>({ command: 'check', readData: true });
    expect(report).toMatchObject({
      status: 'ok',
      notes: [expect.stringContaining('RECOVERY.md is not the one') as string],
    });
    await world.create('two');
    expect((await world.must<CheckView>({ command: 'check', readData: true })).notes).toEqual([]);
  });

  it('is not repaired while somebody else holds the repository', async () => {
    const storage = new MemoryStorage();
    await using world = await World.create({ storage });
    await world.create('one');
    const lease = JSON.stringify({
      format: 'foodsave-backup lease',
      id: 'other',
      purpose: 'create',
      exclusive: false,
      owner: { host: 'elsewhere', bootId: 'b', pid: 1, pidNamespace: 'n', startTime: '1', command: 'create' },
      expiresAt: '2999-01-01T00:00:00.000Z',
    });
    await storage.put('locks/other.json', Buffer.from(lease));
    expect((await world.run({ command: 'repair', what: 'index' })).error?.code).toBe('LOCKED');
    expect((await world.run({ command: 'repair', what: 'index', dryRun: true })).status).toBe('succeeded');
  });
});
