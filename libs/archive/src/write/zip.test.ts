import { Writable } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { ZipWriter } from './zip.ts';

const ENTRIES = 20_000;
const PER_ENTRY = 400;

/** What lives, in bytes, without what only waits to be collected. */
function alive(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

it('an entry that is done leaves its record in the directory and little else', async () => {
  let written = 0;
  const out = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      written += chunk.length;
      setImmediate(done);
    },
  });
  const zip = new ZipWriter(out, new AbortController().signal);
  const look = { mode: 0o644, mtimeNs: 1_700_000_000_000_000_000n };
  const content = Buffer.from('fourteen bytes');
  const add = (path: string): Promise<void> =>
    zip.file({
      path,
      size: content.length,
      look,

      async *content() {
        yield content;
      },
    });
  for (let i = 0; i < 1000; i++) await add(`warm/${i}`);
  const before = alive();
  for (let i = 0; i < ENTRIES; i++) await add(`data/file-${i}.txt`);
  const kept = (alive() - before) / ENTRIES;
  await zip.finish();
  expect(written).toBeGreaterThan(ENTRIES * 100);
  expect(kept).toBeLessThan(PER_ENTRY);
});
