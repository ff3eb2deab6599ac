import fc from 'fast-check';
import { BLOB_KIND, blobId, Chunker, RepositoryKeys, sha256, type Extent } from '@foodsave-backup/format';
import { expect, it } from 'vitest';
import { ExpectedChunks } from './expected-chunks.ts';
import type { ExtentLeaf } from './extent-reader.ts';
import { noise } from './testing/backups.ts';

const keys = new RepositoryKeys(Buffer.alloc(16, 1), undefined);
const SIZES = { min: 256, average: 1024, max: 4096 };
const chunker = new Chunker(keys.chunkerKey, SIZES);

const idOf = (chunk: Buffer): Buffer => blobId(keys, BLOB_KIND.data, [{ length: chunk.length, hash: sha256(chunk) }]);

function cutAll(content: Buffer): Extent[] {
  const extents: Extent[] = [];
  for (let at = 0; at < content.length;) {
    const length = chunker.cut(content.subarray(at), true);
    extents.push({ blob: idOf(content.subarray(at, at + length)), offset: 0, length });
    at += length;
  }
  return extents;
}

/** In leaves of a few extents. */
async function* leaves(extents: readonly Extent[], each: number): AsyncGenerator<ExtentLeaf> {
  for (let at = 0; at < extents.length; at += each) {
    await Promise.resolve();
    yield { list: { unit: 1, extents: extents.slice(at, at + each) } };
  }
}

/** Cuts a stream as a backup does, with what an older one had. `spared`: bytes in which no cut had to be looked for. */
async function cutWith(
  content: Buffer,
  old: AsyncIterable<ExtentLeaf>,
): Promise<{ extents: Extent[]; spared: number }> {
  const expected = new ExpectedChunks(keys, old);
  const extents: Extent[] = [];
  let spared = 0;
  for (let at = 0; at < content.length;) {
    // No more than a backup has in memory: the largest chunk and a piece.
    const data = content.subarray(at, at + 2 * SIZES.max);
    const last = at + data.length === content.length;
    const known = await expected.next(data, last);
    const length = known?.length ?? chunker.cut(data, last);
    if (known !== undefined) spared += length;
    const id = known?.id ?? idOf(data.subarray(0, length));
    extents.push({ blob: id, offset: 0, length });
    at += length;
    if (known === undefined && expected.isWorthLooking()) await expected.found(id, at);
  }
  return { extents, spared };
}

const edit = fc.record({
  at: fc.nat({ max: 100_000 }),
  remove: fc.nat({ max: 6000 }),
  insert: fc.nat({ max: 6000 }),
  seed: fc.nat({ max: 1000 }),
});

it('cuts as if there had been no older backup, whatever was changed', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: 100_000 }),
      fc.array(edit, { maxLength: 4 }),
      fc.integer({ min: 1, max: 9 }),
      async (size, edits, each) => {
        const old = noise(size, 7);
        let now = old;
        for (const { at, remove, insert, seed } of edits) {
          now = Buffer.concat([now.subarray(0, at), noise(insert, seed), now.subarray(at + remove)]);
        }
        const { extents } = await cutWith(now, leaves(cutAll(old), each));
        expect(extents).toEqual(cutAll(now));
      },
    ),
    { numRuns: 200 },
  );
});

it('looks for no cut in what was only appended to, and for few behind a change in the middle', async () => {
  const old = noise(200_000, 3);
  const appended = await cutWith(Buffer.concat([old, noise(9000, 4)]), leaves(cutAll(old), 5));
  expect(appended.spared).toBeGreaterThan(200_000 - SIZES.max - 1);
  const inserted = Buffer.concat([old.subarray(0, 90_000), noise(50, 5), old.subarray(90_000)]);
  expect((await cutWith(inserted, leaves(cutAll(old), 5))).spared).toBeGreaterThan(200_000 - 8 * SIZES.max);
});

it('expects nothing of a file with holes, one kept by page, and one whose list cannot be read', async () => {
  const content = noise(50_000, 6);
  const cut = cutAll(content);
  async function* broken(): AsyncGenerator<ExtentLeaf> {
    yield* leaves(cut.slice(0, 3), 3);
    throw new Error('a damaged node');
  }
  const hole: Extent = { blob: undefined, offset: 0, length: 4096 };
  const paged = (async function* (): AsyncGenerator<ExtentLeaf> {
    yield await Promise.resolve({ list: { unit: 4096, extents: cut } });
  })();
  for (const old of [leaves([hole, ...cut], 100), paged]) {
    expect(await cutWith(content, old)).toEqual({ extents: cut, spared: 0 });
  }
  const { extents, spared } = await cutWith(content, broken());
  expect(extents).toEqual(cut);
  expect(spared).toBeGreaterThan(0);
});
