import { BackupError } from '@foodsave-backup/kernel';
import { MemoryStorage, withFaults, type FaultPlan } from '@foodsave-backup/storage';
import { CrashStorage } from '@foodsave-backup/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectNoScratch, expectWhole, liveFiles } from './testing/oracle.ts';
import { keysBelow } from './testing/storages.ts';
import { noise, World } from './testing/world.ts';
import type { Command } from './types.ts';

const NEW: Command = { command: 'create', name: 'new', trigger: 'manual' };
const noSpace = (): BackupError =>
  new BackupError('NO_SPACE', 'No space left on the device', { hint: 'Free some space.' });

/** A repository with one backup, and an application that has changed since. */
let world: World;
let before: MemoryStorage;
let old: Record<string, string>;
let now: Record<string, string>;
beforeAll(async () => {
  before = new MemoryStorage();
  world = await World.create({ storage: before });
  await world.create('old');
  old = await liveFiles(world);
  await world.write('data/files/new.bin', noise('new', 9000));
  await world.remove('data/files/sub/deep');
  now = await liveFiles(world);
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

/** The repository as it was at first. What this machine has seen since would rightly call that a storage that was set back. */
async function rewound(): Promise<MemoryStorage> {
  await world.remove('state/seen');
  return before.clone();
}

/** After whatever happened: the old backup is whole, and the next create needs nobody. */
async function expectRecovered(disk: MemoryStorage): Promise<void> {
  const after = world.another({ storage: disk });
  await expectNoScratch(world);
  const names = (await after.list()).items.map((backup) => backup.name);
  const expected = new Map([['old', old]]);
  if (names.includes('new')) expected.set('new', now);
  await expectWhole(world, expected, after);
  const next = await world.run({ ...NEW, name: 'next' } as Command, { engine: after });
  expect(next.status).toBe('succeeded');
  // What was published and not acknowledged has been settled: it counts and is whole, or it is gone.
  const settled = new Map([...expected, ['next', now] as const]);
  for (const { name } of (await after.list()).items) settled.set(name, name === 'old' ? old : now);
  await expectWhole(world, settled, after);
  expect(await keysBelow(disk, 'locks/')).toEqual([]);
}

/** The create with the n-th operation of a kind failing, for every n. Says how often it failed. */
async function withEach(plan: Omit<FaultPlan, 'at'>, codes: readonly string[]): Promise<number> {
  let failed = 0;
  for (let at = 1; ; at++) {
    const disk = await rewound();
    const storage = withFaults(disk, { ...plan, at });
    const ended = await world.run(NEW, { engine: world.another({ storage }) });
    if (storage.failures === 0) break;
    if (ended.status !== 'succeeded') {
      failed++;
      expect(codes, `operation ${at}: ${ended.error?.message ?? ''}`).toContain(ended.error?.code);
      expect(ended.error?.message).toBeTruthy();
    }
    // A lease that could not be removed is tried again later; its process, this one, is alive.
    for (const key of await keysBelow(disk, 'locks/')) await disk.delete(key);
    await expectRecovered(disk);
    expect(at).toBeLessThan(120);
  }
  return failed;
}

describe('a create whose storage fails', () => {
  it.each(['once', 'from'] as const)('for want of space at the n-th put, for every n (%s)', async (mode) => {
    expect(await withEach({ mode, operations: ['put'], error: noSpace }, ['NO_SPACE'])).toBeGreaterThan(5);
  });

  it('at the n-th put although it was done, for every n', async () => {
    expect(
      await withEach({ operations: ['put'], when: 'after' }, ['IO_ERROR', 'REPOSITORY_NOT_WRITABLE']),
    ).toBeGreaterThan(5);
  });

  it('at the n-th read, listing or deletion, for every n', async () => {
    const codes = ['IO_ERROR', 'VERIFICATION_FAILED', 'DATA_DAMAGED'];
    expect(await withEach({ operations: ['get', 'list', 'stat', 'delete'] }, codes)).toBeGreaterThan(3);
  });

  it.each(['lost', 'done'] as const)('by a power cut in the n-th write, for every n (%s)', async (outcome) => {
    const whole = new CrashStorage({ from: await rewound() });
    await world.must(NEW, world.another({ storage: whole }));
    expect(whole.mutations).toBeGreaterThan(5);
    for (let crashAt = 1; crashAt <= whole.mutations; crashAt++) {
      const storage = new CrashStorage({ from: await rewound(), crashAt, outcome });
      const ended = await world.run(NEW, { engine: world.another({ storage }) });
      const disk = storage.survivors();
      if (ended.status === 'succeeded')
        expect((await world.another({ storage: disk }).list()).items.map((b) => b.name)).toContain('new');
      // The process that held the lease is this one and lives on; after a power cut it would be known to be dead.
      for (const key of await keysBelow(disk, 'locks/')) await disk.delete(key);
      await expectRecovered(disk);
    }
  });
});

describe('a full disk', () => {
  const full = (disk: MemoryStorage) => withFaults(disk, { at: 1, mode: 'from', operations: ['put'], error: noSpace });

  it('does not keep list, restore, verify and check from working', async () => {
    const engine = world.another({ storage: full(await rewound()) });
    expect((await engine.list()).total).toBe(1);
    await expectWhole(world, new Map([['old', old]]), engine);
    const verified = await world.run({ command: 'verify', name: 'old', level: 'full' }, { engine });
    expect(verified).toMatchObject({ status: 'succeeded', result: { status: 'ok' } });
    expect(await world.run({ command: 'cleanup', dryRun: true }, { engine })).toMatchObject({ status: 'succeeded' });
    const live = await world.run({ command: 'restore', name: 'old', dryRun: true }, { engine });
    expect(live.status).toBe('succeeded');
  });
});

describe('a read-only repository', () => {
  it('restores, verifies and checks; create says that it is not writable', async () => {
    const refused = (): BackupError =>
      new BackupError('REPOSITORY_NOT_WRITABLE', 'Backup directory not writable: /mnt');
    const storage = withFaults(await rewound(), { at: 1, mode: 'from', operations: ['put', 'delete'], error: refused });
    const engine = world.another({ storage });
    await expectWhole(world, new Map([['old', old]]), engine);
    expect(await world.run({ command: 'verify', name: 'old', level: 'full' }, { engine })).toMatchObject({
      status: 'succeeded',
    });
    const ended = await world.run(NEW, { engine });
    expect(ended).toMatchObject({ status: 'failed', error: { code: 'REPOSITORY_NOT_WRITABLE' } });
    expect(ended.error?.message).toContain('Backup directory not writable');
  });
});
