import { BackupError } from '@foodsave-backup/kernel';
import { MemoryStorage } from '@foodsave-backup/storage';
import { describe, expect, it } from 'vitest';
import { altered, flip } from './testing/storages.ts';
import { keysOf, World } from './testing/world.ts';
import type { HealthView } from './types.ts';

const statuses = ({ indicators }: HealthView): Record<string, string> =>
  Object.fromEntries(Object.entries(indicators).map(([name, { status }]) => [name, status]));

describe('health', () => {
  it('without a repository or a backup is ok: none is overdue', async () => {
    await using world = await World.create();
    expect(await world.engine.health()).toMatchObject({ status: 'ok' });
    await world.must({ command: 'init' });
    const health = await world.engine.health();
    expect(statuses(health)).toEqual({ repository: 'up', space: 'up', lastBackup: 'up', verification: 'up' });
  });

  it('with a backup tells its name and age', async () => {
    await using world = await World.create({ storage: new MemoryStorage() });
    await world.create('one');
    expect(await world.engine.health()).toMatchObject({
      status: 'ok',
      indicators: {
        lastBackup: { name: 'one', ageSeconds: expect.any(Number) as number },
        verification: { level: 'new' },
      },
    });
  });

  it('of a repository that cannot be written is down, and still tells of the backups', async () => {
    const disk = new MemoryStorage();
    await using world = await World.create({ storage: disk });
    await world.create('one');
    const put = () =>
      Promise.reject(
        new BackupError('REPOSITORY_NOT_WRITABLE', 'Backup directory not writable: /mnt', { hint: 'Remount it.' }),
      );
    const health = await world.another({ storage: altered(disk, { put }) }).health();
    expect(health.status).toBe('error');
    expect(statuses(health)).toEqual({ repository: 'down', space: 'up', lastBackup: 'up', verification: 'up' });
    expect(health.indicators['repository']).toMatchObject({ code: 'REPOSITORY_NOT_WRITABLE', hint: 'Remount it.' });
    expect(health.indicators['repository']?.message).toContain('Backup directory not writable');
  });

  it('with a wrong key is down, says so, and claims nothing about backups that it cannot read', async () => {
    await using world = await World.create({ encryption: true, storage: new MemoryStorage() });
    await world.create('one');
    const health = await world.another({ keys: keysOf('another-secret-0123456789-abcdefghijkl') }).health();
    expect(statuses(health)).toEqual({ repository: 'down', space: 'up', lastBackup: 'down', verification: 'down' });
    expect(health.indicators['repository']).toMatchObject({ code: 'WRONG_KEY' });
    expect(JSON.stringify(health)).not.toContain('another-secret');
  });

  it('with a damaged backup is down and names it, while the repository is up', async () => {
    const disk = new MemoryStorage();
    await using world = await World.create({ storage: disk });
    await world.create('one');
    await flip(disk, 'one.json');
    await flip(disk, 'manifests/one.json');
    const health = await world.another().health();
    expect(statuses(health)).toMatchObject({ repository: 'up', space: 'up', lastBackup: 'down' });
    expect(health.indicators['lastBackup']?.message).toContain('one');
  });

  it('of a directory that holds something else is down', async () => {
    await using world = await World.create();
    await world.write('backups/photos/holiday.jpg', 'mine');
    const health = await world.engine.health();
    expect(health.status).toBe('error');
    expect(health.indicators['repository']).toMatchObject({ status: 'down', code: 'REPOSITORY_NOT_FOUND' });
  });

  it('with little space is down, and one that cannot be told is not', async () => {
    const storage = new MemoryStorage();
    await using world = await World.create({ storage });
    await world.create('one');
    expect(statuses(await world.another({ freeBytes: async () => 1000 }).health())).toMatchObject({
      space: 'down',
      repository: 'up',
    });
    expect(statuses(await world.another({ freeBytes: async () => undefined }).health())).toMatchObject({ space: 'up' });
    const broken = world.another({ freeBytes: () => Promise.reject(new Error('EIO')) });
    expect(statuses(await broken.health())).toEqual({
      repository: 'up',
      space: 'down',
      lastBackup: 'up',
      verification: 'up',
    });
  });
});
