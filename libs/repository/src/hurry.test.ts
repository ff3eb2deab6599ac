import { randomBytes } from 'node:crypto';
import { BLOB_KIND, RepositoryKeys } from '@foodsave-backup/format';
import { MemoryStorage } from '@foodsave-backup/storage';
import { expect, it } from 'vitest';
import { BlobIndex } from './blob-index.ts';
import { BlobWriter } from './blob-writer.ts';
import { PortableCodec } from './codec.ts';
import { loadCodecs } from './load-codecs.ts';

const MIB = 1024 * 1024;

/** The levels at which blobs of 1 MiB are compressed, of which `together` come at once; undefined: the usual one. */
async function levelsOf(together: number, level?: number): Promise<(number | undefined)[]> {
  const seen: (number | undefined)[] = [];
  const codecs = await loadCodecs(level === undefined ? {} : { level });
  const frames = new (class extends PortableCodec {
    override compress(data: Uint8Array, into: Uint8Array, asked?: number): Promise<number | undefined> {
      seen.push(asked);
      return super.compress(data, into, asked);
    }
  })(level ?? 3);
  const id = randomBytes(16);
  const writer = new BlobWriter(new MemoryStorage(), new RepositoryKeys(id, undefined), new BlobIndex(), {
    ...codecs,
    frames,
  });
  const blob = (i: number): Buffer => Buffer.from(`row ${i} of the table `.repeat(60_000)).subarray(0, MIB);
  const tally = { storedBytes: 0 };
  for (let i = 0; i < 24; i += together) {
    const some = Array.from({ length: together }, (_, j) => writer.save('files', BLOB_KIND.data, [blob(i + j)], tally));
    await Promise.all(some);
    await writer.finish();
  }
  return seen;
}

it('compresses less while much waits for the processor, and as usual while little does', async () => {
  const calm = await levelsOf(1);
  expect(calm).toEqual(new Array(24).fill(undefined));
  const hurried = await levelsOf(24);
  expect(hurried).toHaveLength(24);
  expect(hurried.filter((level) => level === 1).length).toBeGreaterThan(12);
});

it('keeps to a level that is asked for', async () => {
  expect(new Set(await levelsOf(24, 9))).toEqual(new Set([undefined]));
});
