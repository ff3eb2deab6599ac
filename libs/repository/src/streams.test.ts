import { setTimeout as sleep } from 'node:timers/promises';
import { createLocalStorage, MemoryStorage } from '@foodsave-backup/storage';
import { withTempDir } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
import { BackupSession, checkRepository } from './index.ts';
import {
  backUp,
  differences,
  fileEntry,
  keysOf,
  makeRepository,
  noise,
  SECRET,
  type Files,
} from './testing/backups.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const CHECK = { readData: true };

const VARIED: Files = {
  empty: Buffer.alloc(0),
  'one byte': Buffer.from('x'),
  text: Buffer.from('some text\n'.repeat(500)),
  'a/b/c/deep': noise(3000, 2),
  'a/b.txt': noise(100, 3),
  'a-b': noise(10, 4),
  'edge-1': noise(512 * KIB - 1, 5),
  edge: noise(512 * KIB, 6),
  'edge+1': noise(512 * KIB + 1, 7),
  large: noise(6 * MIB, 8),
  zeros: Buffer.alloc(5 * MIB),
  'empty directory': 'directory',
  link: { link: '../outside' },
  '\xff\xfe not UTF-8 \x80': noise(50, 9),
  [`${'n'.repeat(255)}/x`]: Buffer.from('long name'),
};

describe('files', () => {
  it.each([
    ['plain', undefined],
    ['encrypted', SECRET],
  ])('come back byte for byte (%s)', async (_name, secret) => {
    const repository = await makeRepository({ secret });
    const { totals } = await backUp(repository, 'first', VARIED);
    expect(await differences(repository, 'first', VARIED)).toEqual([]);
    expect(totals).toMatchObject({ files: 13, links: 1, directories: 1 });
    const report = await checkRepository(repository, CHECK);
    expect(report).toMatchObject({ status: 'ok', damaged: [], unreferencedPacks: 0, backups: 1 });
  });

  it('come back from a directory on a disk', async () => {
    await withTempDir(async (path) => {
      const storage = createLocalStorage(path);
      const repository = await makeRepository({ storage, secret: SECRET });
      await backUp(repository, 'first', VARIED);
      expect(await differences(repository, 'first', VARIED)).toEqual([]);
      await storage.close();
    });
  });

  it('share blobs when they are small, and equal ones are stored once', async () => {
    const repository = await makeRepository();
    const photo = noise(300 * KIB, 3);
    const files: Record<string, Buffer> = { 'copy 1': photo, 'copy 2': photo, 'copy 3': Buffer.from(photo) };
    for (let i = 0; i < 100; i++) files[`note ${String(i).padStart(3, '0')}`] = noise(200, i + 10);
    const { totals } = await backUp(repository, 'first', files);
    expect(totals.storedBytes).toBeLessThan(photo.length + 100 * 200 + 40 * KIB);
    expect(await keysOf(repository.storage, 'files/')).toHaveLength(1);
    const [a, b] = [await fileEntry(repository, 'first', 'copy 1'), await fileEntry(repository, 'first', 'note 001')];
    expect(a.extents?.extents[0]?.blob).toEqual(b.extents?.extents[0]?.blob);
    expect(await differences(repository, 'first', files)).toEqual([]);
  });

  it('add nothing when nothing changed', async () => {
    const repository = await makeRepository();
    const first = await backUp(repository, 'first', VARIED);
    const packs = await keysOf(repository.storage, 'files/', 'meta/', 'index/');
    const second = await backUp(repository, 'second', VARIED);
    expect(second.root).toBe(first.root);
    expect(second.totals.storedBytes).toBe(0);
    expect(await keysOf(repository.storage, 'files/', 'meta/', 'index/')).toEqual(packs);
  });

  it('are stored once over many backups, also under another name', async () => {
    const repository = await makeRepository();
    await backUp(repository, 'first', { old: noise(3 * MIB, 1), small: noise(1000, 2) });
    const { totals } = await backUp(repository, 'second', { renamed: noise(3 * MIB, 1), small: noise(1000, 2) });
    expect(totals.storedBytes).toBeLessThan(2 * KIB);
    expect(await differences(repository, 'second', { renamed: noise(3 * MIB, 1), small: noise(1000, 2) })).toEqual([]);
  });

  it('add few bytes when one is put into a large file', async () => {
    const repository = await makeRepository();
    const before = noise(24 * MIB);
    await backUp(repository, 'first', { large: before });
    const after = Buffer.concat([before.subarray(0, 11 * MIB), Buffer.from('!'), before.subarray(11 * MIB)]);
    const { totals } = await backUp(repository, 'second', { large: after });
    // One chunk, or the two beside the byte: each of 128 KiB to 2 MiB.
    expect(totals.storedBytes).toBeLessThan(5 * MIB);
    expect(totals.storedBytes).toBeGreaterThan(128 * KIB);
    expect(await differences(repository, 'second', { large: after })).toEqual([]);
    expect(await differences(repository, 'first', { large: before })).toEqual([]);
  });

  it('keep a long list of chunks in a tree of nodes', async () => {
    const repository = await makeRepository();
    const large = noise(64 * MIB, 4);
    await backUp(repository, 'first', { large });
    const entry = await fileEntry(repository, 'first', 'large');
    expect(entry.extentRoot).toBeDefined();
    expect(await differences(repository, 'first', { large })).toEqual([]);
  });

  it('are never added out of order', async () => {
    const repository = await makeRepository();
    const writer = (await BackupSession.start(repository, { level: 3 })).component('files', undefined);
    const meta = { mode: 0o644, mtimeNs: 0n };
    writer.addLink([Buffer.from('b')], meta, Buffer.from('x'));
    for (const name of ['a', 'b']) {
      expect(() => writer.addLink([Buffer.from(name)], meta, Buffer.from('x'))).toThrow('ascending');
    }
  });
});

describe('large directories', () => {
  const many = (count: number): Record<string, Buffer> =>
    Object.fromEntries(
      Array.from({ length: count }, (_, i) => [
        `d/file ${String(i * 10).padStart(6, '0')}`,
        Buffer.from(`content ${i}`),
      ]),
    );

  it('of 5,000 entries have an index, and one more file changes few nodes', async () => {
    const repository = await makeRepository();
    const files = many(5000);
    const first = await backUp(repository, 'first', files);
    expect(await differences(repository, 'first', files)).toEqual([]);
    const { trees } = repository.reader(await repository.loadIndex());
    const d = await trees.find(Buffer.from(first.root, 'hex'), [Buffer.from('d')]);
    expect(d).toMatchObject({ type: 'directory', files: 5000 });
    const one = await trees.find(Buffer.from(first.root, 'hex'), [Buffer.from('d'), Buffer.from('file 025000')]);
    expect(one).toMatchObject({ type: 'file', size: 12 });
    expect(
      await trees.find(Buffer.from(first.root, 'hex'), [Buffer.from('d'), Buffer.from('file 025001')]),
    ).toBeUndefined();
    const loadBefore = (await repository.loadIndex()).index.blobCount;
    const more = { ...files, 'd/file 025005': Buffer.from('new') };
    const second = await backUp(repository, 'second', more);
    const added = (await repository.loadIndex()).index.blobCount - loadBefore;
    // Its content, the leaf (or, where a border moves, a few), the index over the leaves, the root.
    expect(added).toBeGreaterThanOrEqual(4);
    expect(added).toBeLessThanOrEqual(7);
    expect(second.totals.storedBytes).toBeLessThan(first.totals.storedBytes / 4);
    expect(await differences(repository, 'second', more)).toEqual([]);
  });
});

describe('a disk that is slower than what is read', () => {
  it.each([
    ['small', 500 * KIB],
    ['large', 900 * KIB],
  ])('makes the reader wait: %s files do not pile up in memory', async (_name, size) => {
    const disk = new MemoryStorage();
    const gate = Promise.withResolvers<undefined>();
    let slow = false;
    const storage = new Proxy(disk, {
      get(target, property) {
        if (property === 'put' && slow) {
          return async (key: string, body: Uint8Array) => {
            await gate.promise;
            return target.put(key, body);
          };
        }
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    const session = await BackupSession.start(await makeRepository({ storage }), { level: 1 });
    slow = true;
    const writer = session.component('files', undefined);
    let read = 0;
    const count = 250;
    const reading = (async () => {
      for (let i = 0; i < count; i++) {
        const bytes = noise(size, i + 1);
        async function* content(): AsyncGenerator<Buffer> {
          read += bytes.length;
          yield await Promise.resolve(bytes);
        }
        const path = [Buffer.from(`file ${String(i).padStart(3, '0')}`)];
        const meta = { mode: 0o644, mtimeNs: 0n };
        await writer.addStream(
          path,
          content(),
          () => Promise.resolve({ meta, changed: false }),
          () => undefined,
        );
      }
    })();
    for (let last = -1; last !== read;) {
      last = read;
      await sleep(300);
    }
    // A pack that waits, one that is open, and what is being compressed and collected.
    expect(read).toBeLessThanOrEqual((20 + 20 + 8 + 12) * MIB);
    expect(read).toBeGreaterThan(12 * MIB);
    gate.resolve(undefined);
    await reading;
    await writer.finish();
    const packs = await session.finishPacks();
    expect(packs.reduce((sum, pack) => sum + pack.size, 0)).toBeGreaterThan(count * size);
  });
});
