import { hash } from 'node:crypto';
import { MemoryStorage, type StorageBackend } from '@foodsave-backup/storage';
import { CrashStorage } from '@foodsave-backup/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkRepository, hashOfKey, repairIndex, repairPacks, Repository, type RepairReport } from './index.ts';
import {
  backUp,
  differences,
  keysOf,
  makeClock,
  makeRepository,
  noise,
  RECOVERY,
  SECRET,
  type Files,
} from './testing/backups.ts';

const READ = { readData: true };
const OPTIONS = { dryRun: false, recoveryFiles: RECOVERY };
const page = 512;
const FILES: Files = {
  'd/small': noise(300, 1),
  large: noise(900_000, 3),
  db: { pageSize: page, pages: noise(3 * page, 2) },
};
const MORE: Files = { ...FILES, more: noise(5000, 4) };
const KINDS: [string, string | undefined][] = [
  ['plain', undefined],
  ['encrypted', SECRET],
];

const open = (storage: StorageBackend, secret?: string): Promise<Repository> =>
  Repository.open(storage, { clock: makeClock(), secret });

const samples = new Map<string | undefined, MemoryStorage>();

beforeAll(async () => {
  for (const [, secret] of KINDS) {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage, secret });
    await backUp(repository, 'first', FILES);
    await backUp(repository, 'second', MORE);
    samples.set(secret, storage);
  }
});

/** Two backups, in a storage of its own. */
async function sample(secret?: string): Promise<MemoryStorage> {
  const storage = samples.get(secret)?.clone();
  return storage ?? Promise.reject(new Error('no sample'));
}

/** Flips one bit; negative positions count from the end. */
async function flip(storage: MemoryStorage, key: string, at: number): Promise<void> {
  const bytes = Buffer.from(await storage.get(key));
  bytes[(at + bytes.length) % bytes.length]! ^= 4;
  await storage.put(key, bytes);
}

async function largest(storage: MemoryStorage, folder: string): Promise<string> {
  let found = { key: '', size: 0 };
  for await (const { key, size } of storage.list(folder)) if (size > found.size) found = { key, size };
  return found.key;
}

const did = ({ actions }: RepairReport): string[] => actions.map((action) => `${action.did} ${action.what}`).sort();

async function expectWhole(storage: MemoryStorage, secret?: string): Promise<void> {
  const repository = await open(storage, secret);
  expect(await checkRepository(repository, READ)).toMatchObject({ status: 'ok', damaged: [] });
  expect(await differences(repository, 'first', FILES)).toEqual([]);
  expect(await differences(repository, 'second', MORE)).toEqual([]);
}

/** Repairs as it was said before, and once more to no effect. */
async function mend(storage: MemoryStorage, how: typeof repairPacks, secret?: string): Promise<RepairReport> {
  const before = await snapshot(storage);
  const repository = await open(storage, secret);
  const planned = await how(repository, { ...OPTIONS, dryRun: true });
  expect(await snapshot(storage)).toEqual(before);
  const report = await how(repository, OPTIONS);
  expect({ ...planned, dryRun: false }).toEqual(report);
  const after = await snapshot(storage);
  const again = await how(repository, OPTIONS);
  expect(again.actions.filter((action) => action.did !== 'left')).toEqual([]);
  expect(await snapshot(storage)).toEqual(after);
  return report;
}

async function snapshot(storage: MemoryStorage): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const key of [...(await keysOf(storage)), ...(await keysOf(storage, 'quarantine/'))]) {
    found.set(key, hash('sha256', await storage.get(key)));
  }
  return found;
}

describe.each(KINDS)('repair index (%s)', (_name, secret) => {
  it.each(['lost', 'damaged', 'half lost', 'naming a pack that is gone'])(
    'makes one from the packs: %s',
    async (harm) => {
      const storage = await sample(secret);
      const files = await keysOf(storage, 'index/');
      const repository = await open(storage, secret);
      if (harm === 'lost') for (const key of files) await storage.delete(key);
      else if (harm === 'half lost') await storage.delete(files[0] ?? '');
      else if (harm === 'damaged') for (const key of files) await flip(storage, key, 80);
      else {
        await repository.indexStore.write([{ hash: Buffer.alloc(32, 7), folder: 'files', size: 200, blobs: [] }]);
      }
      const report = await mend(storage, repairIndex, secret);
      expect(report.actions.length).toBeGreaterThan(0);
      expect(report.actions.every((action) => action.did === 'rebuilt')).toBe(true);
      expect(report.affected.backups).toEqual([]);
      expect((await (await open(storage, secret)).loadIndex()).unindexed).toEqual([]);
      expect(await keysOf(storage, 'index/')).toHaveLength(1);
      await expectWhole(storage, secret);
    },
  );

  it('replaces one that lies about where blobs are, also beside a true one', async () => {
    const storage = await sample(secret);
    const repository = await open(storage, secret);
    const { index } = await repository.loadIndex();
    const lies = [...index.packs()].map((pack) => ({
      ...pack,
      blobs: index.blobsOf(pack.hash).map((blob) => ({ ...blob, firstFrame: blob.firstFrame + 1 })),
    }));
    const key = await repository.indexStore.write(lies);
    const report = await mend(storage, repairIndex, secret);
    expect(did(report)).toEqual([`rebuilt ${key ?? ''}`]);
    await expectWhole(storage, secret);
  });

  it.each(['first.json', 'manifests/first.json', 'repository.json', 'manifests/repository.json'])(
    'writes %s again from its other copy, and keeps what was there',
    async (key) => {
      const storage = await sample(secret);
      const good = await storage.get(key);
      await flip(storage, key, 60);
      const bad = await storage.get(key);
      const report = await mend(storage, repairIndex, secret);
      expect(report.actions).toMatchObject([{ did: 'rewritten', what: key }]);
      expect(await storage.get(key)).toEqual(good);
      expect(await storage.get(report.actions[0]?.to ?? '')).toEqual(bad);
      await expectWhole(storage, secret);

      await storage.delete(key);
      // Without its second copy a backup was never confirmed: that is no damage, and not for repair to decide.
      if (key === 'manifests/first.json') return;
      expect(did(await mend(storage, repairIndex, secret))).toEqual([`rewritten ${key}`]);
      await expectWhole(storage, secret);
    },
  );

  it('leaves a manifest of which both copies are damaged, and mends the files for recovery', async () => {
    const storage = await sample(secret);
    for (const key of ['first.json', 'manifests/first.json']) await flip(storage, key, 60);
    await flip(storage, 'recover.mjs', 2);
    await storage.delete('RECOVERY.md');
    const report = await mend(storage, repairIndex, secret);
    expect(did(report)).toEqual([
      'left first.json',
      'left manifests/first.json',
      'rewritten RECOVERY.md',
      'rewritten recover.mjs',
    ]);
    expect(Buffer.from(await storage.get('recover.mjs'))).toEqual(RECOVERY['recover.mjs']);
  });
});

describe.each(KINDS)('repair packs (%s)', (_name, secret) => {
  it('moves a damaged pack away, saves what is whole of it, and names what is lost; the next backup brings it back', async () => {
    const storage = await sample(secret);
    const key = await largest(storage, 'files/');
    const size = (await storage.stat(key))?.size ?? 0;
    await flip(storage, key, size >> 1);
    const bad = await storage.get(key);
    expect((await checkRepository(await open(storage, secret), READ)).status).toBe('damaged');
    const report = await mend(storage, repairPacks, secret);
    const moved = report.actions.find((action) => action.did === 'quarantined');
    expect(moved).toMatchObject({ what: key });
    expect(await storage.stat(key)).toBeUndefined();
    expect(await storage.get(moved?.to ?? '')).toEqual(bad);
    expect(report.salvagedBlobs).toBeGreaterThan(0);
    expect(report.affected).toMatchObject({ backups: ['second', 'first'], fileCount: 1, files: [{ path: 'large' }] });
    expect(await keysOf(storage, 'notes/')).toEqual([]);

    const repository = await open(storage, secret);
    const checked = await checkRepository(repository, READ);
    expect(checked).toMatchObject({ status: 'damaged', damaged: [], affected: report.affected });
    expect(checked.notes.join()).toContain('quarantine/ holds 1');
    await backUp(repository, 'third', FILES);
    await expectWhole(storage, secret);
  });

  it('saves every blob of a pack of which only name, header or directory is damaged', async () => {
    for (const at of [0, 11, 20, -1, -10]) {
      const storage = await sample(secret);
      const key = await largest(storage, 'files/');
      await flip(storage, key, at);
      const report = await mend(storage, repairPacks, secret);
      expect(did(report), `byte ${at}`).toContain(`quarantined ${key}`);
      expect(report.affected.backups, `byte ${at}`).toEqual([]);
      await expectWhole(storage, secret);
    }
  });

  it('saves blobs without any index from a directory that is damaged itself', async () => {
    const storage = await sample(secret);
    for (const key of await keysOf(storage, 'index/')) await storage.delete(key);
    const key = await largest(storage, 'files/');
    // The hash of the last frame, which the last blob needs; those before it are whole.
    await flip(storage, key, secret === undefined ? -16 - 32 - 1 : -16 - 16 - 1);
    const report = await mend(storage, repairPacks, secret);
    expect(report.salvagedBlobs).toBeGreaterThan(0);
    expect(report.affected.fileCount).toBe(1);
  });

  it('forgets packs that are missing, and mends the rest on the way', async () => {
    const storage = await sample(secret);
    const missing = await largest(storage, 'files/');
    await storage.delete(missing);
    await flip(storage, 'first.json', 50);
    const report = await mend(storage, repairPacks, secret);
    expect(did(report)).toEqual(expect.arrayContaining([`forgotten ${missing}`, 'rewritten first.json']) as string[]);
    const repository = await open(storage, secret);
    expect(await checkRepository(repository, READ)).toMatchObject({ damaged: [], affected: report.affected });
    await backUp(repository, 'third', FILES);
    await expectWhole(storage, secret);
  });

  it('saves what comes before the cut of a truncated pack', async () => {
    const storage = await sample(secret);
    const key = await largest(storage, 'files/');
    const { index } = await (await open(storage, secret)).loadIndex();
    const [first, second] = index.blobsOf(hashOfKey(key) ?? Buffer.alloc(0));
    const bytes = await storage.get(key);
    await storage.put(key, bytes.subarray(0, (second?.offset ?? 0) + 1));
    const report = await mend(storage, repairPacks, secret);
    expect(report).toMatchObject({ salvagedBlobs: 1, salvagedBytes: first?.frames[0]?.length });
    expect(report.affected.fileCount).toBeGreaterThan(0);
    const repository = await open(storage, secret);
    await backUp(repository, 'third', FILES);
    await backUp(repository, 'fourth', MORE);
    await expectWhole(storage, secret);
  });

  it('puts a pack into the folder where it belongs', async () => {
    const storage = await sample(secret);
    const key = await largest(storage, 'files/');
    const wrong = key.replace('files/', 'config/');
    await storage.put(wrong, await storage.get(key));
    await storage.delete(key);
    const report = await mend(storage, repairPacks, secret);
    expect(report.actions).toMatchObject([{ did: 'moved', what: wrong, to: key }]);
    await expectWhole(storage, secret);
  });

  it('needs nothing of a damaged pack whose blobs lie in a good one too', async () => {
    const storage = await sample(secret);
    const packs = await keysOf(storage, 'files/');
    for (const key of packs) await flip(storage, key, -1);
    await checkRepository(await open(storage, secret), READ);
    const repository = await open(storage, secret);
    await backUp(repository, 'third', FILES);
    await backUp(repository, 'fourth', MORE);
    const report = await mend(storage, repairPacks, secret);
    expect(report).toMatchObject({ salvagedBlobs: 0, affected: { fileCount: 0 } });
    await expectWhole(storage, secret);
  });
});

describe('a crash at every write of a repair', () => {
  const HARMS: [string, typeof repairPacks, (storage: MemoryStorage) => Promise<void>][] = [
    [
      'index',
      repairIndex,
      async (storage) => {
        for (const key of await keysOf(storage, 'index/')) await flip(storage, key, 80);
        await flip(storage, 'first.json', 50);
        await flip(storage, 'manifests/repository.json', 50);
      },
    ],
    [
      'packs',
      repairPacks,
      async (storage) => {
        await flip(storage, await largest(storage, 'files/'), -1);
        await flip(storage, await largest(storage, 'meta/'), -20);
        await flip(storage, 'manifests/second.json', 50);
        await checkRepository(await open(storage), READ);
      },
    ],
  ];
  it.each(HARMS)('loses nothing, and the next repair ends it (%s)', async (_name, how, harm) => {
    const from = await sample();
    await harm(from);
    const whole = new CrashStorage({ from });
    await how(await open(whole), OPTIONS);
    expect(whole.mutations).toBeGreaterThanOrEqual(5);
    for (let crashAt = 1; crashAt <= whole.mutations; crashAt++) {
      for (const outcome of ['lost', 'done'] as const) {
        const storage = new CrashStorage({ from, crashAt, outcome });
        await expect(how(await open(storage), OPTIONS), `crash at ${crashAt}`).rejects.toThrow();
        const left = storage.survivors();
        expect(await differences(await open(left), 'first', FILES), `crash at ${crashAt}`).toEqual([]);
        await how(await open(left), OPTIONS);
        await expectWhole(left);
      }
    }
  });
});
