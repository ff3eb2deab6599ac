import { BLOB_KIND } from '@foodsave-backup/format';
import { BackupError } from '@foodsave-backup/kernel';
import { MemoryStorage } from '@foodsave-backup/storage';
import { describe, expect, it } from 'vitest';
import { checkRepository, hashOfKey, NoteStore, prunePacks, Repository } from './index.ts';
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

const CHECK = { readData: true };
const page = 512;
const FILES: Files = {
  'd/small': noise(300, 1),
  text: Buffer.from('text '.repeat(60)),
  db: { pageSize: page, pages: Buffer.concat([noise(2 * page, 2), Buffer.alloc(page)]) },
  link: { link: 'text' },
};
const KINDS: [string, string | undefined][] = [
  ['plain', undefined],
  ['encrypted', SECRET],
];

const open = (storage: MemoryStorage, secret?: string): Promise<Repository> =>
  Repository.open(storage, { clock: makeClock(), secret });

/** What differs, or `refused` when reading says that something is damaged. Any other error is thrown. */
async function readBack(repository: Repository, name: string, files: Files): Promise<string[] | 'refused'> {
  try {
    return await differences(repository, name, files);
  } catch (error) {
    if (error instanceof BackupError && ['DATA_DAMAGED', 'MANIFEST_DAMAGED'].includes(error.code)) return 'refused';
    throw error;
  }
}

describe.each(KINDS)('a changed byte in a %s repository', (_name, secret) => {
  const note = {
    type: 'verification',
    at: 'now',
    backup: 'x',
    name: 'first',
    level: 'full',
    status: 'ok',
    checkedBytes: 5,
  } as const;
  const notesOf = async (repository: Repository) => (await repository.notes.list()).map((stored) => stored.note);

  it('in a note drops the note, and never misreads it', async () => {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage, secret });
    await repository.notes.add(note);
    const [key = ''] = await keysOf(storage, 'notes/');
    const good = Buffer.from(await storage.get(key));
    for (let i = 0; i < good.length; i += 2) {
      const changed = Buffer.from(good);
      changed[i]! ^= 1 << (i % 8);
      const other = storage.clone();
      await other.put(key, changed);
      const notes = new NoteStore(other, repository.keys, repository.clock);
      expect(await notes.list(), `byte ${i}`).toEqual([]);
    }
    expect(await notesOf(repository)).toEqual([note]);
  });

  it('in a header of a pack does not stop the next backup', async () => {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage, secret });
    const first = await backUp(repository, 'first', FILES);
    for (const key of await keysOf(storage, 'files/', 'meta/')) {
      const bytes = Buffer.from(await storage.get(key));
      bytes[8] = 2;
      await storage.put(key, bytes);
    }
    const fresh = await open(storage, secret);
    await backUp(fresh, 'second', { other: noise(100, 77) }, { previous: first.root });
    expect(await differences(fresh, 'second', { other: noise(100, 77) })).toEqual([]);
  });
});

describe('one damaged copy', () => {
  it.each(['repository.json', 'manifests/repository.json'])('of %s leaves the repository usable', async (key) => {
    const storage = new MemoryStorage();
    await backUp(await makeRepository({ storage }), 'first', FILES);
    const good = Buffer.from(await storage.get(key));
    for (let i = 0; i < good.length; i += 7) {
      const changed = Buffer.from(good);
      changed[i]! ^= 3;
      await storage.put(key, changed);
      expect(await differences(await open(storage), 'first', FILES)).toEqual([]);
    }
    await (await open(storage)).renewRecovery({});
    expect(Buffer.from(await storage.get(key))).toEqual(good);
    expect((await checkRepository(await open(storage), CHECK)).status).toBe('ok');
  });

  it.each(KINDS)('of a manifest leaves the backup and all others listed (%s)', async (_name, secret) => {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage, secret });
    await backUp(repository, 'first', FILES);
    await backUp(repository, 'second', FILES);
    for (const key of ['first.json', 'manifests/first.json']) {
      const good = Buffer.from(await storage.get(key));
      for (let i = 0; i < good.length; i += 5) {
        const changed = Buffer.from(good);
        changed[i]! ^= 3;
        await storage.put(key, changed);
        const { manifests, damaged } = await repository.manifests.list();
        expect([manifests.map(({ name }) => name), damaged], `${key} byte ${i}`).toEqual([['second', 'first'], []]);
      }
      await storage.put(key, good);
    }
  });
});

describe('a lost pack', () => {
  it.each(KINDS)(
    'is reported, its data is stored again, and the old backup is whole again (%s)',
    async (_name, secret) => {
      const storage = new MemoryStorage();
      const repository = await makeRepository({ storage, secret });
      const data = { a: noise(2000, 1), b: noise(900_000, 2) };
      await backUp(repository, 'first', data);
      const lost = await keysOf(storage, 'files/');
      for (const key of lost) await storage.delete(key);
      const report = await checkRepository(repository, { readData: false });
      expect(report.damaged.filter(({ kind }) => kind === 'pack').map(({ what }) => what)).toEqual(lost);
      expect(report.affected.files.map(({ path }) => path)).toEqual(['a', 'b']);
      expect(await readBack(repository, 'first', data)).toBe('refused');

      const second = await backUp(repository, 'second', data);
      expect(second.missing).toEqual(lost);
      expect(await differences(repository, 'second', data)).toEqual([]);
      expect(await differences(repository, 'first', data)).toEqual([]);
      // Cleanup has the index forget the lost pack, also when there is no space to free.
      await prunePacks(repository, { dryRun: false, doomed: new Set() });
      expect(await checkRepository(repository, CHECK)).toMatchObject({ status: 'ok', damaged: [] });
      for (const name of ['first', 'second']) expect(await differences(repository, name, data)).toEqual([]);
    },
  );

  it('never makes cleanup delete the pack that holds its data now', async () => {
    // Which of two index files is read first is chance: their names are hashes.
    for (let seed = 0; seed < 8; seed++) {
      const storage = new MemoryStorage();
      const repository = await makeRepository({ storage });
      const data = { a: noise(2000 + seed, 1) };
      await backUp(repository, 'first', data);
      for (const key of await keysOf(storage, 'files/')) await storage.delete(key);
      await backUp(repository, 'second', data);
      await backUp(repository, 'third', { b: noise(10, 3) });
      await repository.manifests.delete('third');
      await prunePacks(repository, { dryRun: false, doomed: new Set() });
      for (const name of ['first', 'second']) expect(await differences(repository, name, data)).toEqual([]);
      expect(await checkRepository(repository, CHECK)).toMatchObject({ status: 'ok', damaged: [] });
    }
  });

  it('stops cleanup while a backup needs it', async () => {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage });
    await backUp(repository, 'first', { a: noise(2000, 1) });
    const [needed = ''] = await keysOf(storage, 'files/');
    await backUp(repository, 'second', { b: noise(2000, 2) });
    await repository.manifests.delete('second');
    await storage.delete(needed);
    const before = await keysOf(storage);
    await expect(prunePacks(repository, { dryRun: false, doomed: new Set() })).rejects.toMatchObject({
      code: 'REPOSITORY_DAMAGED',
    });
    expect(await keysOf(storage)).toEqual(before);
  });

  it('is not needed where the same blob lies in a good pack', async () => {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage });
    const data = { a: noise(2000, 1) };
    await backUp(repository, 'first', data);
    // Another process, which did not see that pack, stores the same blobs.
    const hidden = new MemoryStorage();
    for (const key of ['repository.json', 'manifests/repository.json']) await hidden.put(key, await storage.get(key));
    await backUp(await open(hidden), 'second', { ...data, db: { pageSize: page, pages: noise(page, 8) } });
    for (const key of await keysOf(hidden)) await storage.put(key, await hidden.get(key));
    const packs = await keysOf(storage, 'files/');
    expect(packs).toHaveLength(2);
    const { index } = await repository.loadIndex();
    for (const key of packs) {
      const twice = index.blobsOf(hashOfKey(key)!).filter(({ id }) => index.all(id).length === 2);
      expect(twice.map(({ kind }) => kind)).toEqual([BLOB_KIND.data]);
      const good = await storage.get(key);
      await storage.put(key, Buffer.alloc(good.length));
      expect(await differences(repository, 'first', data)).toEqual([]);
      await storage.put(key, good);
    }
  });
});

describe('the index', () => {
  it('is rebuilt from the packs when it is lost or damaged, in whole or in part', async () => {
    const second = { more: noise(4000, 9) };
    for (const harm of ['all lost', 'one lost', 'all damaged', 'one damaged']) {
      for (const secret of [undefined, SECRET]) {
        const storage = new MemoryStorage();
        const repository = await makeRepository({ storage, secret });
        await backUp(repository, 'first', FILES);
        await backUp(repository, 'second', second);
        const files = await keysOf(storage, 'index/');
        for (const key of harm.startsWith('all') ? files : files.slice(0, 1)) {
          if (harm.endsWith('lost')) await storage.delete(key);
          else await storage.put(key, Buffer.from('damaged'));
        }
        expect(await differences(repository, 'first', FILES), harm).toEqual([]);
        expect(await differences(repository, 'second', second), harm).toEqual([]);
        const again = await backUp(repository, 'third', FILES, {
          previous: (await repository.manifests.get('first')).components['main']!.root!,
        });
        expect(again.totals.storedBytes, harm).toBe(0);
        // From then on an index file names those packs again, and cleanup removes what is left of damaged ones.
        expect((await repository.loadIndex()).unindexed, harm).toEqual([]);
        await repository.manifests.delete('second');
        await prunePacks(repository, { dryRun: false, doomed: new Set() });
        expect(await checkRepository(repository, CHECK), harm).toMatchObject({
          status: 'ok',
          damaged: [],
          unreferencedPacks: 0,
        });
      }
    }
  });
});

describe('freeing space', () => {
  it('frees nothing in a dry run, and then exactly what the dry run said', async () => {
    const repository = await makeRepository();
    await backUp(repository, 'first', { a: noise(40_000, 1) });
    await backUp(repository, 'second', { b: noise(2000, 2) });
    const before = await keysOf(repository.storage);
    const planned = await prunePacks(repository, { dryRun: true, doomed: new Set(['first']) });
    expect(planned.packs).toBe(2);
    expect(planned.freedBytes).toBeGreaterThan(40_000);
    expect(await keysOf(repository.storage)).toEqual(before);
    await repository.manifests.delete('first');
    expect(await prunePacks(repository, { dryRun: false, doomed: new Set() })).toEqual(planned);
    expect(await prunePacks(repository, { dryRun: false, doomed: new Set() })).toEqual({
      packs: 0,
      freedBytes: 0,
      rewrittenBytes: 0,
    });
    expect(await differences(repository, 'second', { b: noise(2000, 2) })).toEqual([]);
    expect(await keysOf(repository.storage, 'index/')).toHaveLength(1);
  });

  it('frees everything after the last backup', async () => {
    const repository = await makeRepository({ secret: SECRET });
    await backUp(repository, 'first', FILES);
    await repository.manifests.delete('first');
    await prunePacks(repository, { dryRun: false, doomed: new Set() });
    expect(await keysOf(repository.storage, 'files/', 'meta/', 'database/')).toEqual([]);
    await backUp(repository, 'second', FILES);
    expect(await differences(repository, 'second', FILES)).toEqual([]);
  });

  it('waits while a manifest cannot be read', async () => {
    const repository = await makeRepository();
    await backUp(repository, 'first', FILES);
    await backUp(repository, 'second', { b: noise(2000, 2) });
    for (const key of ['first.json', 'manifests/first.json']) await repository.storage.put(key, Buffer.from('{}'));
    const before = await keysOf(repository.storage);
    await expect(prunePacks(repository, { dryRun: false, doomed: new Set() })).rejects.toMatchObject({
      code: 'REPOSITORY_DAMAGED',
    });
    expect(await keysOf(repository.storage)).toEqual(before);
  });
});
