import { MemoryStorage, withFaults, type StorageBackend } from '@foodsave-backup/storage';
import { CrashStorage } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
import { checkRepository, prunePacks, readContent, Repository, secureBackup } from './index.ts';
import {
  backUp,
  differences,
  fileEntry,
  keysOf,
  makeClock,
  makeRepository,
  noise,
  type Files,
} from './testing/backups.ts';

const PRUNE = { dryRun: false, doomed: new Set<string>() };
const both = { pageSize: 512, pages: noise(100 * 512, 2) };
const GONE: Files = { gone: noise(40_000, 1), both };
const KEPT: Files = { kept: noise(4000, 3), both };

const open = (storage: StorageBackend): Promise<Repository> =>
  Repository.open(storage, { clock: makeClock(), secret: undefined });

/** A pack of "gone", which was deleted, holds a blob that "kept" needs. */
async function halfDead(): Promise<{ storage: MemoryStorage; repository: Repository; shared: string }> {
  const storage = new MemoryStorage();
  const repository = await makeRepository({ storage });
  await backUp(repository, 'gone', GONE);
  const [shared = ''] = await keysOf(storage, 'files/');
  await backUp(repository, 'kept', KEPT);
  await repository.manifests.delete('gone');
  return { storage, repository, shared };
}

const condemn = (repository: Repository, ...packs: string[]): Promise<string> =>
  repository.notes.add({ type: 'condemned', at: 't', packs });

async function bytesOf(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces);
}

describe('a condemned pack', () => {
  it('gives what is needed of it to a new pack and goes, and then its note', async () => {
    const { storage, repository, shared } = await halfDead();
    await condemn(repository, shared);
    const report = await prunePacks(repository, PRUNE);
    expect(report.rewrittenBytes).toBeGreaterThan(50_000);
    expect(await storage.stat(shared)).toBeUndefined();
    expect(await keysOf(storage, 'notes/')).toEqual([]);
    const again = await open(storage);
    expect(await differences(again, 'kept', KEPT)).toEqual([]);
    expect(await checkRepository(again, { readData: true })).toMatchObject({ damaged: [], unreferencedPacks: 0 });
  });

  it('is relied on by no backup that begins later: what it held is stored again', async () => {
    const { storage, repository, shared } = await halfDead();
    await condemn(repository, shared);
    const { totals } = await backUp(repository, 'later', KEPT);
    expect(totals.storedBytes).toBeGreaterThan(50_000);
    await storage.delete(shared);
    expect(await differences(await open(storage), 'later', KEPT)).toEqual([]);
  });

  it('gives a backup that relied on it its data before that is confirmed', async () => {
    const { storage, repository, shared } = await halfDead();
    await condemn(repository, shared);
    const manifest = await repository.manifests.get('kept');
    const packs = await keysOf(storage, 'files/');
    const { lost, gone } = await secureBackup(repository, manifest, { relied: packs });
    expect({ lost, gone: [...gone] }).toEqual({ lost: [], gone: [shared] });
    await storage.delete(shared);
    expect(await differences(await open(storage), 'kept', KEPT)).toEqual([]);
    // Nothing is written twice, and nothing at all for a backup that relies on no such pack.
    const files = await keysOf(storage);
    await secureBackup(await open(storage), manifest);
    await secureBackup(repository, manifest, { relied: packs.filter((key) => key !== shared) });
    expect(await keysOf(storage)).toEqual(files);
  });

  it('that is gone already is named with the components that lost something', async () => {
    const { storage, repository, shared } = await halfDead();
    const manifest = await repository.manifests.get('kept');
    await storage.delete(shared);
    const { lost, gone } = await secureBackup(repository, manifest, { relied: [shared] });
    expect({ lost, gone: [...gone] }).toEqual({ lost: ['main'], gone: [shared] });
  });

  it('is not deleted while something that is needed of it is damaged', async () => {
    const { storage, repository, shared } = await halfDead();
    const bytes = Buffer.from(await storage.get(shared));
    bytes.fill(0, 64, bytes.length - 2000);
    await storage.put(shared, bytes);
    await condemn(repository, shared);
    await expect(prunePacks(repository, PRUNE)).rejects.toMatchObject({ code: 'REPOSITORY_DAMAGED' });
    expect(await storage.stat(shared)).toBeDefined();
    expect(await keysOf(storage, 'notes/')).toHaveLength(1);
  });

  it('has a name that no later pack can have, also when the same is stored again without encryption', async () => {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage });
    await backUp(repository, 'one', KEPT);
    const before = await keysOf(storage, 'files/', 'meta/');
    await condemn(repository, ...before);
    await backUp(repository, 'two', KEPT);
    for (const key of before) await storage.delete(key);
    expect(await differences(await open(storage), 'two', KEPT)).toEqual([]);
  });
});

describe('a prune', () => {
  it('that was cut off after its note, at any write, is finished by the next one, and creates go on in between', async () => {
    const { storage, shared, repository } = await halfDead();
    await condemn(repository, shared);
    const whole = new CrashStorage({ from: storage });
    await prunePacks(await open(whole), PRUNE);
    expect(whole.mutations).toBeGreaterThan(4);
    for (let crashAt = 1; crashAt <= whole.mutations; crashAt++) {
      for (const outcome of ['lost', 'done'] as const) {
        const crashing = new CrashStorage({ from: storage, crashAt, outcome });
        await expect(prunePacks(await open(crashing), PRUNE)).rejects.toThrow();
        const left = crashing.survivors();
        expect(await differences(await open(left), 'kept', KEPT)).toEqual([]);
        expect((await checkRepository(await open(left), { readData: true })).damaged).toEqual([]);
        await backUp(await open(left), 'next', KEPT);
        await prunePacks(await open(left), PRUNE);
        expect(await left.stat(shared)).toBeUndefined();
        expect(await keysOf(left, 'notes/')).toEqual([]);
        for (const name of ['kept', 'next']) expect(await differences(await open(left), name, KEPT)).toEqual([]);
        const report = await checkRepository(await open(left), { readData: true });
        expect(report).toMatchObject({ damaged: [], unreferencedPacks: 0 });
      }
    }
  });

  it('does nothing that cannot be taken back after it has lost its lease', async () => {
    const { storage, repository } = await halfDead();
    const before = (await keysOf(storage)).filter((key) => key.endsWith('.pack'));
    for (let at = 1; at <= 3; at++) {
      let asked = 0;
      const assertHeld = (): Promise<void> => (++asked >= at ? Promise.reject(new Error('lost')) : Promise.resolve());
      await expect(prunePacks(await open(storage), { ...PRUNE, assertHeld })).rejects.toThrow('lost');
      expect(await keysOf(storage)).toEqual(expect.arrayContaining(before));
    }
    await prunePacks(repository, PRUNE);
    expect(await differences(repository, 'kept', KEPT)).toEqual([]);
  });

  it('frees nothing while a note cannot be read, which may be a hold or name what another one has begun', async () => {
    const { storage, repository } = await halfDead();
    await storage.put('notes/01k00000000000000000000000.note', Buffer.from('damaged'));
    const before = await keysOf(storage);
    await expect(prunePacks(repository, PRUNE)).rejects.toMatchObject({ code: 'REPOSITORY_DAMAGED' });
    expect(await keysOf(storage)).toEqual(before);
  });
});

describe('a reader under which a prune moves what it reads', () => {
  it('looks at the index again and goes on', async () => {
    const { storage, repository, shared } = await halfDead();
    const reader = repository.reader(await repository.loadIndex());
    const entry = await fileEntry(repository, 'kept', 'both');
    const content = readContent(reader.blobs, entry);
    await condemn(repository, shared);
    await prunePacks(await open(storage), PRUNE);
    expect((await bytesOf(content)).equals(both.pages)).toBe(true);
  });

  it('reads the index once, not for each part, when something is really lost', async () => {
    const { storage, repository, shared } = await halfDead();
    const counted = withFaults(storage, { at: 0, operations: ['get'], keys: /^index\// });
    const slow = await open(counted);
    const reader = slow.reader(await slow.loadIndex());
    const entry = await fileEntry(repository, 'kept', 'both');
    await storage.delete(shared);
    const before = counted.operations;
    for (let i = 0; i < 20; i++) {
      await expect(bytesOf(readContent(reader.blobs, entry))).rejects.toMatchObject({ code: 'DATA_DAMAGED' });
    }
    expect(counted.operations).toBe(before);
  });

  it('is a check: packs that go meanwhile are not called missing', async () => {
    const { storage, repository, shared } = await halfDead();
    await condemn(repository, shared);
    let pruned = false;
    const watched = new Proxy(storage, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property, target);
        if (property !== 'list') return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        return async function* (prefix: string) {
          // Right after the index was read, before the packs are looked at.
          if (prefix === 'files/' && !pruned) {
            pruned = true;
            await prunePacks(await open(storage), PRUNE);
          }
          yield* target.list(prefix);
        };
      },
    });
    expect((await checkRepository(await open(watched), { readData: true })).damaged).toEqual([]);
    expect(pruned).toBe(true);
  });
});
