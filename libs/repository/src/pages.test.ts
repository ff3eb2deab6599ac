import { BLOB_KIND, decodeExtentNode, encodeEntry, pageHashesId, PAGES_PER_LEAF } from '@foodsave-backup/format';
import { describe, expect, it } from 'vitest';
import { BackupSession, checkRepository, hashOfKey, packObjectKey, type Repository } from './index.ts';
import { backUp, differences, fileEntry, keysOf, makeRepository, noise, type Made } from './testing/backups.ts';

const DATABASE = { type: 'database' };

interface Paged {
  pageSize: number;
  pages: Buffer;
}

const save = (repository: Repository, name: string, db: Paged): Promise<Made> =>
  backUp(repository, name, { db }, DATABASE);

/** The same file with these pages replaced. */
function changed({ pageSize, pages }: Paged, numbers: Iterable<number>, seed = 99): Paged {
  const copy = Buffer.from(pages);
  for (const n of numbers) noise(pageSize, (seed + n) % 256).copy(copy, n * pageSize);
  return { pageSize, pages: copy };
}

/** Deletes the packs of a folder that hold a blob of the given kinds, or all of them. */
async function losePacks(repository: Repository, folder: 'meta' | 'database', kinds?: number[]): Promise<void> {
  const { index } = await repository.loadIndex();
  for (const key of await keysOf(repository.storage, `${folder}/`)) {
    const held = index.blobsOf(hashOfKey(key)!).map((blob) => blob.kind as number);
    if (kinds === undefined || kinds.some((kind) => held.includes(kind))) await repository.storage.delete(key);
  }
}

describe.each([512, 4096, 65_536])('a file kept by pages of %d bytes', (pageSize) => {
  const pages = Math.min(1200, (6 * 1024 * 1024) / pageSize);
  const before: Paged = { pageSize, pages: noise(pages * pageSize) };

  it('comes back, also after it grew and shrank, and costs only what changed', async () => {
    const repository = await makeRepository();
    const first = await save(repository, 'first', before);
    expect(first.changedPages).toBe(pages);
    const grown: Paged = { pageSize, pages: Buffer.concat([before.pages, noise(3 * pageSize, 7)]) };
    expect((await save(repository, 'grown', grown)).changedPages).toBe(3);
    const shrunk: Paged = { pageSize, pages: before.pages.subarray(0, 10 * pageSize) };
    expect((await save(repository, 'shrunk', shrunk)).changedPages).toBe(0);
    const edited = changed(shrunk, [0, 4, 5, 9]);
    expect((await save(repository, 'edited', edited)).changedPages).toBe(4);
    const empty: Paged = { pageSize, pages: Buffer.alloc(0) };
    await save(repository, 'empty', empty);
    const all = { first: before, grown, shrunk, edited, empty };
    for (const [name, db] of Object.entries(all)) expect(await differences(repository, name, { db }), name).toEqual([]);
    expect(await checkRepository(repository, { readData: true })).toMatchObject({ status: 'ok', damaged: [] });
  });

  it('adds nothing when it is unchanged', async () => {
    const repository = await makeRepository();
    const first = await save(repository, 'first', before);
    const objects = await keysOf(repository.storage, 'database/', 'meta/', 'index/');
    const second = await save(repository, 'second', { pageSize, pages: Buffer.from(before.pages) });
    expect(second).toMatchObject({ changedPages: 0, root: first.root });
    expect(second.totals.storedBytes).toBe(0);
    expect(await keysOf(repository.storage, 'database/', 'meta/', 'index/')).toEqual(objects);
  });
});

describe('a file kept by page', () => {
  const pageSize = 4096;
  const before: Paged = { pageSize, pages: noise(1000 * pageSize) };

  it('is stored anew when its page size changes', async () => {
    const repository = await makeRepository();
    await save(repository, 'first', before);
    const other: Paged = { pageSize: 8192, pages: noise(1000 * pageSize, 5) };
    expect((await save(repository, 'second', other)).changedPages).toBe(500);
    expect((await save(repository, 'third', other)).changedPages).toBe(0);
    // The very same bytes are the same blobs, whose page hashes are those of the other page size.
    const same: Paged = { pageSize: 8192, pages: before.pages };
    expect((await save(repository, 'fourth', same)).totals.storedBytes).toBeLessThan(4096);
    await save(repository, 'fifth', same);
    for (const [name, db] of Object.entries({ first: before, third: other, fourth: same, fifth: same })) {
      expect(await differences(repository, name, { db }), name).toEqual([]);
    }
  });

  it('costs about the pages that changed when a few in a thousand did', async () => {
    const repository = await makeRepository();
    await save(repository, 'first', before);
    const few = changed(before, [3, 77, 200, 201, 999]);
    const { changedPages, totals } = await save(repository, 'second', few);
    expect(changedPages).toBe(5);
    expect(totals.storedBytes).toBeLessThan(5 * pageSize + 4000);
    expect(await differences(repository, 'second', { db: few })).toEqual([]);
  });

  it('finds a page that went back to what it was before the last backup', async () => {
    const repository = await makeRepository();
    await save(repository, 'first', before);
    await save(repository, 'second', changed(before, [500]));
    expect((await save(repository, 'third', before)).changedPages).toBe(1);
    expect(await differences(repository, 'third', { db: before })).toEqual([]);
  });

  it('is stored again where its page hashes are lost', async () => {
    const repository = await makeRepository();
    await save(repository, 'first', before);
    await losePacks(repository, 'meta', [BLOB_KIND.pageHashes]);
    const again = await save(repository, 'second', before);
    expect(again.missing).not.toEqual([]);
    expect(await differences(repository, 'second', { db: before })).toEqual([]);
    expect((await save(repository, 'third', before)).changedPages).toBe(0);
  });

  it('is stored again where its pages are lost', async () => {
    const repository = await makeRepository();
    const few = changed(before, [1, 2, 3]);
    await save(repository, 'first', before);
    const lost = await keysOf(repository.storage, 'database/');
    await save(repository, 'second', few);
    for (const key of lost) await repository.storage.delete(key);
    const again = await save(repository, 'third', few);
    expect(again.missing).toEqual(lost);
    expect(again.changedPages).toBe(997);
    expect(await differences(repository, 'third', { db: few })).toEqual([]);
  });

  it('is stored when the extents of the previous backup are lost or damaged', async () => {
    const scattered = changed(
      before,
      Array.from({ length: 100 }, (_, i) => i * 10),
    );
    for (const damage of ['lost', 'damaged'] as const) {
      const repository = await makeRepository();
      await save(repository, 'first', before);
      await save(repository, 'second', scattered);
      const { extentRoot } = await fileEntry(repository, 'second', 'db');
      const { pack } = (await repository.loadIndex()).index.get(extentRoot!)!;
      // The tree that points at the extents lies in another pack, and stays.
      const third = await backUp(repository, 'third', { db: scattered, more: Buffer.from('x') }, DATABASE);
      const key = packObjectKey(pack.folder, pack.hash);
      if (damage === 'lost') await repository.storage.delete(key);
      else await repository.storage.put(key, Buffer.alloc(pack.size));
      const fourth = await backUp(repository, 'fourth', { db: scattered }, { ...DATABASE, previous: third.root });
      expect(fourth.manifest.name).toBe('fourth');
      if (damage === 'lost') expect(await differences(repository, 'fourth', { db: scattered })).toEqual([]);
    }
  });

  it('has leaves of a fixed number of pages, and those without changes are reused', async () => {
    const repository = await makeRepository();
    const size = 512;
    const large: Paged = { pageSize: size, pages: noise((2 * PAGES_PER_LEAF + 100) * size) };
    // Scattered pages in every leaf, so that no list is short.
    const scattered = changed(
      large,
      Array.from({ length: 200 }, (_, i) => i * 160),
    );
    await save(repository, 'first', large);
    await save(repository, 'second', scattered);
    const children = async (name: string): Promise<string[]> => {
      const { extentRoot } = await fileEntry(repository, name, 'db');
      const { blobs } = repository.reader(await repository.loadIndex());
      const node = decodeExtentNode(await blobs.read(extentRoot!));
      return 'children' in node ? node.children.map(({ id }) => id.toString('hex')) : [];
    };
    const old = await children('second');
    expect(old).toHaveLength(3);
    const edited = changed(scattered, [PAGES_PER_LEAF + 5], 5);
    expect((await save(repository, 'third', edited)).changedPages).toBe(1);
    const fresh = await children('third');
    expect([fresh[0], fresh[2]]).toEqual([old[0], old[2]]);
    expect(fresh[1]).not.toBe(old[1]);
    for (const [name, db] of Object.entries({ first: large, second: scattered, third: edited })) {
      expect(await differences(repository, name, { db }), name).toEqual([]);
    }
  });

  it('does not allocate what a forged previous backup announces', async () => {
    const repository = await makeRepository();
    const session = await BackupSession.start(repository, { level: 3 });
    const writer = session.component('database', undefined);
    const hole = { unit: pageSize, extents: [{ blob: undefined, offset: 0, length: 2 ** 40 }] };
    const meta = { mode: 0o644, mtimeNs: 0n };
    const forged = { ...meta, type: 'file', name: Buffer.from('db'), size: 2 ** 52, sha256: Buffer.alloc(32) } as const;
    const entry = { ...forged, pageSize, extents: hole };
    writer.addUnchanged([Buffer.from('db')], meta, { entry, encoded: encodeEntry(entry) });
    const root = (await writer.finish()).toString('hex');
    await session.finishPacks();
    await session.writeIndex();
    const { changedPages } = await backUp(repository, 'first', { db: before }, { ...DATABASE, previous: root });
    expect(changedPages).toBe(1000);
    expect(await differences(repository, 'first', { db: before })).toEqual([]);
  });

  it('keeps the hashes of its pages under an id that follows from the pages', async () => {
    const repository = await makeRepository();
    await save(repository, 'first', before);
    const { extents } = await fileEntry(repository, 'first', 'db');
    const { index } = await repository.loadIndex();
    for (const { blob } of extents!.extents) {
      const hashes = index.get(pageHashesId(repository.keys, blob!));
      expect(hashes?.pack.folder).toBe('meta');
      expect(hashes?.blob.kind).toBe(BLOB_KIND.pageHashes);
    }
  });
});
