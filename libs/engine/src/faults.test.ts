import { execFileSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { BackupError } from '@foodsave-backup/kernel';
import { MemoryStorage, withFaults, type FaultPlan, type StorageBackend } from '@foodsave-backup/storage';
import { CrashStorage, tempDir, type TempDir } from '@foodsave-backup/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backedUp, dataOf, type Data } from './testing/after-kill.ts';
import { contentsOf, keysBelow } from './testing/storages.ts';
import { changeData, World, type Ended } from './testing/world.ts';
import type { CheckView, Command } from './types.ts';

const noSpace = (): BackupError =>
  new BackupError('NO_SPACE', 'No space left on the device', { hint: 'Free some space.' });
const ioError = (): BackupError => new BackupError('IO_ERROR', 'Input/output error', { hint: 'Check the device.' });

/** Three backups, "kept" held and "dropped" due to go, and an application that has moved on. */
let world: World;
let before: MemoryStorage;
let contents: Record<string, string>;
let template: TempDir;
let live: Data;
const saved = new Map<string, Data>();
beforeAll(async () => {
  before = new MemoryStorage();
  const config = { retention: { daily: 1, weekly: 0, monthly: 0 } };
  world = await World.create({ kinds: ['files', 'config'], storage: before, config });
  for (const name of ALL) {
    await changeData(world, name);
    await world.create(name);
    saved.set(name, await dataOf(world));
  }
  await world.engine.hold('kept', { on: true });
  await changeData(world, 'live');
  await world.remove('data/files/sub');
  live = await dataOf(world);
  contents = await contentsOf(before);
  template = await tempDir();
  execFileSync('cp', ['-a', world.join('data'), template.path]);
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await template.cleanup();
});

/** The application as it was before the command. */
async function reset(): Promise<void> {
  for (const name of ['target', 'state']) await rm(world.join(name), { recursive: true, force: true });
  if (isDeepStrictEqual(await dataOf(world), live)) return;
  await rm(world.join('data'), { recursive: true });
  execFileSync('cp', ['-a', template.join('data'), world.path]);
}

const ALL = ['kept', 'dropped', 'last'];

interface Case {
  command: (path: string) => Command;
  /** Backups that are there whatever happens, and those that are not once it has succeeded. */
  stay: readonly string[];
  go: readonly string[];
  /** Whether the live data may be that of "kept" afterwards. */
  replaces?: true;
}

const CASES: Readonly<Record<string, Case>> = {
  create: { command: () => ({ command: 'create', name: 'new', trigger: 'manual' }), stay: ALL, go: [] },
  'restore to a directory': {
    command: (path) => ({ command: 'restore', name: 'kept', target: `${path}/target` }),
    stay: ALL,
    go: [],
  },
  'restore into the live application': {
    command: () => ({ command: 'restore', name: 'kept' }),
    stay: ALL,
    go: [],
    replaces: true,
  },
  cleanup: { command: () => ({ command: 'cleanup' }), stay: ['kept', 'last'], go: ['dropped'] },
  delete: { command: () => ({ command: 'delete', name: 'dropped' }), stay: ['kept', 'last'], go: ['dropped'] },
};

/** Whatever happened: nothing is lost, and the next commands need no help. */
async function expectRecovered(one: Case, disk: MemoryStorage, ended: Ended): Promise<void> {
  // This process lives on: a lease that it could not remove counts as held until it ends.
  for (const key of await keysBelow(disk, 'locks/')) await disk.delete(key);
  // Where not one byte has changed there is nothing to recover from.
  const same = isDeepStrictEqual(await contentsOf(disk), contents) && isDeepStrictEqual(await dataOf(world), live);
  if (same && ended.status === 'failed') return;
  const after = world.another({ storage: disk });
  await world.must({ command: 'create', name: 'next', trigger: 'manual' }, after);
  const now = await dataOf(world);
  expect(one.replaces ? [live, saved.get('kept')] : [live]).toContainEqual(now);
  const found = await backedUp(world, disk);
  for (const [name, data] of found) expect(data, name).toEqual(name === 'next' ? now : (saved.get(name) ?? live));
  const names = [...found.keys()];
  expect(names).toEqual(expect.arrayContaining([...one.stay, 'next']));
  if (ended.status === 'succeeded') for (const name of one.go) expect(names).not.toContain(name);
  const check = await world.must<CheckView>({ command: 'check', readData: true }, after);
  expect(check).toMatchObject({ status: 'ok', damaged: [], unconfirmed: [] });
}

/** Carries the command out on a copy of the repository, with a storage that is made of it. */
async function attempt(one: Case, storage: StorageBackend): Promise<Ended> {
  await reset();
  return world.run(one.command(world.path), { engine: world.another({ storage }) });
}

/** The command with its n-th call of the storage failing, for every n. How many there are, and in how many of them it failed. */
async function failEach(one: Case, plan: Omit<FaultPlan, 'at'>): Promise<{ calls: number; failed: number }> {
  for (let at = 1, failed = 0; ; at++) {
    const disk = before.clone();
    const storage = withFaults(disk, { ...plan, at });
    const ended = await attempt(one, storage);
    if (storage.failures === 0) return { calls: at - 1, failed };
    if (ended.status === 'failed') {
      failed++;
      expect(ended.error?.code).not.toBe('INTERNAL');
      expect(ended.error?.message).toBeTruthy();
      expect(ended.error?.hint, ended.error?.message).toBeTruthy();
    }
    await expectRecovered(one, disk, ended).catch((error: unknown) => {
      throw new Error(`With call ${at} failing, it ${ended.status}`, { cause: error });
    });
  }
}

describe.each(Object.entries(CASES))('%s', (_name, one) => {
  it.each<[string, Omit<FaultPlan, 'at'>]>([
    ['an I/O error once', { error: ioError }],
    ['an I/O error from then on', { error: ioError, mode: 'from' }],
    ['no space from then on', { error: noSpace, mode: 'from', operations: ['put'] }],
    ['an I/O error after it was done', { error: ioError, when: 'after', operations: ['put', 'delete'] }],
  ])(
    'with %s, at every call of the storage: it fails cleanly or succeeds, and nothing is lost',
    async (_what, plan) => {
      const { calls, failed } = await failEach(one, plan);
      expect(calls).toBeGreaterThan(0);
      expect(failed).toBeLessThanOrEqual(calls);
    },
    600_000,
  );

  it.each(['lost', 'done'] as const)(
    'with a power cut in every write (%s)',
    async (outcome) => {
      const whole = new CrashStorage({ from: before });
      await attempt(one, whole);
      expect(whole.mutations).toBeGreaterThan(1);
      for (let crashAt = 1; crashAt <= whole.mutations; crashAt++) {
        const storage = new CrashStorage({ from: before, crashAt, outcome });
        const ended = await attempt(one, storage);
        await expectRecovered(one, storage.survivors(), ended).catch((error: unknown) => {
          throw new Error(`After a power cut in write ${crashAt}`, { cause: error });
        });
      }
    },
    600_000,
  );
});
