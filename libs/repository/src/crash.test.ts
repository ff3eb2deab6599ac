import { BackupError } from '@foodsave-backup/kernel';
import { MemoryStorage, withFaults, type FaultPlan, type StorageBackend } from '@foodsave-backup/storage';
import { CrashStorage } from '@foodsave-backup/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkRepository, prunePacks, Repository } from './index.ts';
import {
  backUp,
  differences,
  makeClock,
  makeRepository,
  noise,
  openOrMake,
  settle,
  type Files,
} from './testing/backups.ts';

const page = 512;
const pages = noise(300 * page, 3);
const edited = Buffer.concat([noise(page, 4), pages.subarray(page)]);
const FIRST: Files = { 'a/one': noise(3000, 1), two: noise(600_000, 2), db: { pageSize: page, pages } };
const SECOND: Files = { ...FIRST, three: noise(2000, 5), db: { pageSize: page, pages: edited } };
const THIRD: Files = { ...SECOND, four: noise(1000, 6), three: noise(2000, 7) };
const OTHER: Files = { other: noise(5000, 40), 'z/more': noise(700_000, 41) };
const FILES: Readonly<Record<string, Files>> = { first: FIRST, second: SECOND, third: THIRD, other: OTHER };
const NO_ONE: ReadonlySet<string> = new Set();

const open = (storage: StorageBackend): Promise<Repository> =>
  Repository.open(storage, { clock: makeClock(), secret: undefined });

/** Each step runs on what the one before left; the storage is the one that crashes. */
type Step = (storage: StorageBackend) => Promise<unknown>;

const create: (name: string) => Step = (name) => async (storage) =>
  backUp(await open(storage), name, FILES[name] ?? {});
const remove: (name: string) => Step = (name) => async (storage) => {
  const repository = await open(storage);
  await repository.manifests.delete(name);
};
const prune: Step = async (storage) => prunePacks(await open(storage), { dryRun: false, doomed: NO_ONE });

async function mediumAfter(...steps: Step[]): Promise<MemoryStorage> {
  const storage = new MemoryStorage();
  await makeRepository({ storage });
  for (const step of steps) await step(storage);
  return storage;
}

/** What must hold on a medium after anything went wrong: see the oracle of the reliability bar. */
async function assertRecovers(
  medium: MemoryStorage,
  acknowledged: readonly string[],
  removed: readonly string[] = [],
): Promise<void> {
  const before = await open(medium);
  for (const name of acknowledged) expect(await differences(before, name, FILES[name]!), name).toEqual([]);
  expect((await checkRepository(before, { readData: true })).damaged).toEqual([]);

  // The next run: it settles what is open, makes a backup and cleans up, and nobody is asked.
  const repository = await open(medium);
  await settle(repository);
  const { manifests, unconfirmed, damaged } = await repository.manifests.list();
  expect({ unconfirmed, damaged }).toEqual({ unconfirmed: [], damaged: [] });
  const names = manifests.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining([...acknowledged]));
  for (const name of removed) expect(names).not.toContain(name);
  const next = 'next' + String(names.length);
  await backUp(repository, next, THIRD);
  await prunePacks(repository, { dryRun: false, doomed: NO_ONE });
  const report = await checkRepository(await open(medium), { readData: true });
  expect(report).toMatchObject({ damaged: [], unreferencedPacks: 0, unconfirmed: [], backups: names.length + 1 });
  for (const name of names) expect(await differences(await open(medium), name, FILES[name]!), name).toEqual([]);
  expect(await differences(await open(medium), next, THIRD)).toEqual([]);
}

/** Crashes at every put and delete of `step`, both with that operation lost and done. */
async function crashEverywhere(
  from: MemoryStorage,
  step: Step,
  judge: (medium: MemoryStorage, done: boolean) => Promise<void>,
): Promise<number> {
  const whole = new CrashStorage({ from });
  await step(whole);
  expect(whole.mutations).toBeGreaterThan(0);
  for (let crashAt = 1; crashAt <= whole.mutations; crashAt++) {
    for (const outcome of ['lost', 'done'] as const) {
      const storage = new CrashStorage({ from, crashAt, outcome });
      await expect(step(storage), `crash at ${crashAt}, ${outcome}`).rejects.toThrow();
      await judge(storage.survivors(), false);
    }
  }
  await judge(whole.survivors(), true);
  return whole.mutations;
}

describe('a crash at every write', () => {
  it('of the first backup leaves no half of it', async () => {
    const from = await mediumAfter();
    const points = await crashEverywhere(from, create('first'), (medium, done) =>
      assertRecovers(medium, done ? ['first'] : []),
    );
    expect(points).toBeGreaterThanOrEqual(5);
  });

  it('of a later backup leaves the earlier one whole', async () => {
    const from = await mediumAfter(create('first'));
    const points = await crashEverywhere(from, create('second'), (medium, done) =>
      assertRecovers(medium, done ? ['first', 'second'] : ['first']),
    );
    expect(points).toBeGreaterThanOrEqual(5);
  });

  it('of a deletion leaves the backup whole or gone, and the others whole', async () => {
    const from = await mediumAfter(create('first'), create('second'), create('third'));
    await crashEverywhere(from, remove('second'), (medium, done) =>
      assertRecovers(medium, ['first', 'third'], done ? ['second'] : []),
    );
  });

  it('of freeing space loses nothing that is needed', async () => {
    const from = await mediumAfter(create('other'), create('third'), remove('other'));
    const points = await crashEverywhere(from, prune, (medium) => assertRecovers(medium, ['third']));
    expect(points).toBeGreaterThanOrEqual(5);
  });

  it('of the making of a repository leaves what the next run makes one of', async () => {
    const make: Step = (storage) => makeRepository({ storage });
    await crashEverywhere(new MemoryStorage(), make, async (medium) => {
      const repository = await openOrMake(medium);
      await backUp(repository, 'first', FIRST);
      expect(await checkRepository(await open(medium), { readData: true })).toMatchObject({
        status: 'ok',
        damaged: [],
      });
      expect((await medium.stat('RECOVERY.md'))?.size).toBeGreaterThan(0);
    });
  });

  it('twice in a row, and the orphans of a backup that never was are used or collected', async () => {
    const from = await mediumAfter(create('first'));
    const once = new CrashStorage({ from, crashAt: 3 });
    await expect(create('second')(once)).rejects.toThrow();
    const orphaned = once.survivors();
    expect((await checkRepository(await open(orphaned), { readData: true })).unreferencedPacks).toBeGreaterThan(0);
    await crashEverywhere(orphaned, create('second'), (medium, done) =>
      assertRecovers(medium, done ? ['first', 'second'] : ['first']),
    );
  });
});

describe('a fault at every call of a small backup', () => {
  const small: Files = { 'a/one': noise(3000, 1), db: { pageSize: page, pages: pages.subarray(0, 20 * page) } };
  let from: MemoryStorage;
  beforeAll(async () => {
    from = await mediumAfter();
    await backUp(await open(from), 'before', { old: noise(500, 9) });
  });

  const attempt = async (plan: FaultPlan): Promise<{ calls: number; made: boolean }> => {
    const medium = from.clone();
    const storage = withFaults(medium, plan);
    let made = true;
    try {
      await backUp(await open(storage), 'small', small);
    } catch (error) {
      expect(error, `call ${plan.at}`).toBeInstanceOf(BackupError);
      made = false;
    }
    const repository = await open(medium);
    if (made) expect(await differences(repository, 'small', small)).toEqual([]);
    await settle(repository);
    const again = await repository.manifests.list();
    for (const { name } of again.manifests) {
      const files = name === 'small' ? small : { old: noise(500, 9) };
      expect(await differences(repository, name, files)).toEqual([]);
    }
    if (!again.manifests.some(({ name }) => name === 'small')) await backUp(repository, 'small', small);
    expect(await checkRepository(await open(medium), { readData: true })).toMatchObject({ status: 'ok', damaged: [] });
    return { calls: storage.operations, made };
  };

  it.each<[string, Partial<FaultPlan>]>([
    ['once', {}],
    ['once, after it took effect', { when: 'after' }],
    ['from then on', { mode: 'from' }],
  ])('%s: it fails cleanly or succeeds', async (_name, plan) => {
    const { calls } = await attempt({ at: 0 });
    expect(calls).toBeGreaterThan(20);
    let failures = 0;
    for (let at = 1; at <= calls; at++) if (!(await attempt({ at, ...plan })).made) failures++;
    expect(failures).toBeGreaterThan(calls / 4);
  });

  it('from then on: a large file whose blobs cannot be stored fails once, and nothing is left unheard', async () => {
    const storage = withFaults(from.clone(), { at: 1, mode: 'from', operations: ['put'] });
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`f${i + 10}`, noise(500_000, i)]));
    const run = backUp(await open(storage), 'large', { ...many, last: noise(48 * 1024 * 1024) });
    await expect(run).rejects.toMatchObject({ code: 'IO_ERROR' });
    // Unhandled rejections fail the test run.
    await new Promise((resolve) => setTimeout(resolve, 20));
  });
});
