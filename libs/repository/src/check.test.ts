import { MemoryStorage } from '@foodsave-backup/storage';
import { describe, expect, it } from 'vitest';
import { checkRepository, confirmDamage, prunePacks, repairIndex, Repository } from './index.ts';
import { knownDamage } from './known-damage.ts';
import {
  backUp,
  differences,
  keysOf,
  makeClock,
  makeRepository,
  noise,
  SECRET,
  type Files,
} from './testing/backups.ts';

const READ = { readData: true };
const page = 512;
const FILES: Files = {
  'd/small': noise(300, 1),
  large: noise(900_000, 3),
  db: { pageSize: page, pages: noise(3 * page, 2) },
};
const KINDS: [string, string | undefined][] = [
  ['plain', undefined],
  ['encrypted', SECRET],
];

const open = (storage: MemoryStorage, secret?: string): Promise<Repository> =>
  Repository.open(storage, { clock: makeClock(), secret });

/** Flips one bit in the middle of an object; its size stays. */
async function flip(storage: MemoryStorage, key: string, at?: number): Promise<void> {
  const bytes = Buffer.from(await storage.get(key));
  const i = at ?? bytes.length >> 1;
  bytes[i]! ^= 4;
  await storage.put(key, bytes);
}

async function largest(storage: MemoryStorage, folder: string): Promise<string> {
  let found = { key: '', size: 0 };
  for await (const { key, size } of storage.list(folder)) if (size > found.size) found = { key, size };
  return found.key;
}

describe('check', () => {
  it('names each affected file once, with the backups that need it, and counts exactly', async () => {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage });
    await backUp(repository, 'first', FILES);
    await backUp(repository, 'second', { ...FILES, other: noise(100, 9) });
    await backUp(repository, 'third', { other: noise(100, 9) });
    // In the middle of the largest pack lies one of the chunks of the large file.
    const pack = await largest(storage, 'files/');
    await flip(storage, pack);
    const { affected, damaged, status } = await checkRepository(repository, READ);
    expect(status).toBe('damaged');
    expect(damaged).toMatchObject([
      { kind: 'pack', what: pack, remedy: expect.stringContaining('repair packs') as string },
    ]);
    expect(affected).toMatchObject({ backups: ['second', 'first'], fileCount: 1 });
    expect(affected.files).toMatchObject([
      { component: 'main', path: 'large', backups: ['second', 'first'], backupCount: 2 },
    ]);
  });

  it('lists a thousand files and counts the rest', async () => {
    const repository = await makeRepository();
    const many = Object.fromEntries(
      Array.from({ length: 1003 }, (_, i) => [`f${String(i).padStart(4, '0')}`, noise(20, i % 250)]),
    );
    await backUp(repository, 'many', many);
    for (const key of await keysOf(repository.storage, 'files/')) await repository.storage.delete(key);
    const { affected } = await checkRepository(repository, READ);
    expect(affected.fileCount).toBe(1003);
    expect(affected.files).toHaveLength(1000);
  });

  it('finds an index that describes a pack otherwise than the pack does, and does not believe it', async () => {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage });
    await backUp(repository, 'first', FILES);
    const { index, files } = await repository.loadIndex();
    const packs = [...index.packs()].map((pack) => ({ ...pack, blobs: [...index.blobsOf(pack.hash)] }));
    const lying = packs.map((pack) => ({
      ...pack,
      blobs: pack.blobs
        .map((blob) => ({ ...blob, offset: blob.offset + 1 }))
        .filter(({ offset }) => offset < pack.size / 2),
    }));
    await repository.indexStore.write(lying);
    for (const key of files) await storage.delete(key);
    const report = await checkRepository(repository, READ);
    expect(report.damaged.map(({ kind }) => kind)).toEqual(packs.map(() => 'index'));
    // Readers go where the index sends them, and find out that it is wrong.
    expect(report.affected.backups).toEqual(['first']);
    await expect(differences(repository, 'first', FILES)).rejects.toMatchObject({ code: 'DATA_DAMAGED' });
    await repairIndex(repository, { dryRun: false, recoveryFiles: {} });
    expect((await checkRepository(repository, READ)).status).toBe('ok');
  });

  it('takes no pack for damage that another process writes while it reads', async () => {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage });
    await backUp(repository, 'first', FILES);
    const other = new MemoryStorage({ from: storage });
    await backUp(await open(other), 'second', { other: noise(500, 8) });
    // After the index was read, and before the packs are listed.
    const load = repository.indexStore.load.bind(repository.indexStore);
    repository.indexStore.load = async (signal) => {
      const loaded = await load(signal);
      for (const key of await keysOf(other, 'files/', 'meta/')) await storage.put(key, await other.get(key));
      return loaded;
    };
    expect(await checkRepository(repository, READ)).toMatchObject({ status: 'ok', damaged: [] });
  });

  it('finds a note that cannot be read, also one that was read before', async () => {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage, secret: SECRET });
    const key = await repository.notes.add({ type: 'hold', at: 'now', backup: 'x', name: 'first', on: true });
    expect(await repository.notes.list()).toHaveLength(1);
    await flip(storage, key);
    expect((await checkRepository(repository, READ)).damaged).toMatchObject([{ kind: 'note', what: key }]);
  });
});

describe.each(KINDS)('a pack with a flipped bit (%s)', (_name, secret) => {
  it('that check found is remembered: the next backup stores its data again, and older backups are whole again', async () => {
    const storage = new MemoryStorage();
    await backUp(await makeRepository({ storage, secret }), 'first', FILES);
    const packs = await keysOf(storage, 'files/', 'meta/');
    for (const key of packs) await flip(storage, key, 70);
    const found = await checkRepository(await open(storage, secret), READ);
    expect(found.damaged.map(({ what }) => what).sort()).toEqual(packs);
    expect(found.affected.backups).toEqual(['first']);
    // Known from then on, also to a check that reads nothing else.
    const again = await checkRepository(await open(storage, secret), { readData: false });
    expect(again.damaged.map(({ what }) => what).sort()).toEqual(packs);

    const repository = await open(storage, secret);
    const second = await backUp(repository, 'second', FILES);
    expect([...second.missing].sort()).toEqual(packs);
    for (const name of ['first', 'second']) expect(await differences(repository, name, FILES), name).toEqual([]);
    const healed = await checkRepository(await open(storage, secret), READ);
    expect(healed.affected).toEqual({ backups: [], fileCount: 0, files: [] });
    expect(healed.damaged.map(({ what }) => what).sort()).toEqual(packs);
    expect(await keysOf(storage, 'notes/')).toHaveLength(1);
  });

  it('that only a reader met is confirmed, remembered, and forgotten when it is whole again or gone', async () => {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage, secret });
    await backUp(repository, 'first', FILES);
    const key = await largest(storage, 'files/');
    const good = await storage.get(key);
    await flip(storage, key);
    await expect(differences(repository, 'first', FILES)).rejects.toMatchObject({ code: 'DATA_DAMAGED' });
    const other = await largest(storage, 'meta/');
    // Suspicion alone is not enough: the other pack reads well.
    expect(await confirmDamage(repository, [key, other])).toEqual([key]);
    expect([...(await knownDamage(repository.notes))]).toEqual([key]);
    await storage.put(key, good);
    expect((await checkRepository(repository, { readData: false })).status).toBe('ok');
    expect(await keysOf(storage, 'notes/')).toEqual([]);

    await flip(storage, key);
    await confirmDamage(repository, [key]);
    await storage.delete(key);
    await checkRepository(repository, { readData: false });
    expect(await keysOf(storage, 'notes/')).toEqual([]);
  });

  it('is freed by cleanup once nothing needs it, and cleanup never relies on it', async () => {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage, secret });
    await backUp(repository, 'first', FILES);
    const bad = await keysOf(storage, 'files/', 'meta/');
    for (const key of bad) await flip(storage, key, 70);
    await checkRepository(repository, READ);
    await backUp(repository, 'second', FILES);
    await prunePacks(repository, { dryRun: false, doomed: new Set() });
    if (secret !== undefined) for (const key of bad) expect(await storage.stat(key)).toBeUndefined();
    expect((await checkRepository(repository, READ)).status).toBe('ok');
    for (const name of ['first', 'second']) expect(await differences(repository, name, FILES), name).toEqual([]);
    expect(await keysOf(storage, 'notes/')).toEqual([]);
  });
});
