import { readdirSync, writeFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { tempDir, type TempDir } from '@foodsave-backup/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Archive, type ArchiveLimits } from './index.ts';
import { GOOD } from './testing/hostile-base.ts';
import { manyPaxHeaders } from './testing/hostile-formats.ts';
import { CASES } from './testing/hostile.ts';
import { craftedOf, tarGzOf, zipOf } from './testing/craft.ts';

let temp: TempDir;
beforeAll(async () => {
  temp = await tempDir('foodsave-hostile-');
});
afterAll(async () => {
  await temp.cleanup();
});

/** Bytes that a reader may hold beyond what it held before. */
const MEMORY_MAX = 192 * 1024 * 1024;

async function readAll(bytes: Buffer, limits: Partial<ArchiveLimits> = {}): Promise<number> {
  const file = temp.join('archive');
  writeFileSync(file, bytes);
  const archive = await Archive.open(file, { signal: new AbortController().signal, limits });
  let read = 0;
  for await (const { content } of archive.entries()) {
    for await (const piece of content ?? []) read += piece.length;
  }
  return read;
}

describe('a crafted archive', () => {
  it('is read when nothing is wrong with it, or none of the cases would prove anything', async () => {
    expect(await readAll(zipOf(craftedOf(GOOD)))).toBe(11);
    expect(await readAll(tarGzOf(craftedOf(GOOD)))).toBe(11);
  });

  it.each(CASES.map((one) => [one.format, one.name, one] as const))('%s: %s', async (_format, _name, one) => {
    const bytes = one.bytes();
    const before = process.memoryUsage().rss;
    await expect(readAll(bytes, one.limits)).rejects.toMatchObject({
      code: one.code ?? 'ARCHIVE_INVALID',
      message: expect.stringMatching(one.says) as unknown,
    });
    expect(process.memoryUsage().rss - before).toBeLessThan(MEMORY_MAX);
    expect(readdirSync(temp.path)).toEqual(['archive']);
  });

  it('is refused when it ends too early, wherever that is', { timeout: 120_000 }, async () => {
    for (const whole of [zipOf(craftedOf(GOOD)), tarGzOf(craftedOf(GOOD))]) {
      for (let length = 0; length < whole.length; length += 7) {
        const read = readAll(whole.subarray(0, length));
        await expect(read, `${length} of ${whole.length}`).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
      }
    }
  });

  it('with any bit flipped is refused, or is the same archive', { timeout: 120_000 }, async () => {
    for (const whole of [zipOf(craftedOf(GOOD)), tarGzOf(craftedOf(GOOD))]) {
      for (let at = 0; at < whole.length; at += 5) {
        const bytes = Buffer.from(whole);
        bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (at & 7)), at);
        // What nothing depends on (times, versions, padding) may differ; contents and names never do.
        const outcome = await readAll(bytes).catch((error: unknown) => (error as { code: string }).code);
        expect(['ARCHIVE_INVALID', 'FORMAT_TOO_NEW', 11], `byte ${at}`).toContain(outcome);
      }
    }
  });
});

it('headers without an end cost time and no memory', async () => {
  const bytes = manyPaxHeaders();
  const before = process.memoryUsage().rss;
  expect(await readAll(bytes)).toBe(11);
  expect(process.memoryUsage().rss - before).toBeLessThan(MEMORY_MAX);
});

it('several members of one gzip are read as one', async () => {
  const tar = gunzipSync(tarGzOf(craftedOf(GOOD)));
  expect(await readAll(Buffer.concat([gzipSync(tar.subarray(0, 1000)), gzipSync(tar.subarray(1000))]))).toBe(11);
});
