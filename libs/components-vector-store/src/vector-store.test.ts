import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Component, ComponentFacts, PreviousEntry } from '@foodsave-backup/component';
import { capture, componentConformance, restoreInto, restoreRun } from '@foodsave-backup/component/conformance';
import { BackupError, systemClock, type Clock } from '@foodsave-backup/kernel';
import { fileReader, inspectFaiss, memoryReader, vectorStoreDrivers, verifyFacts, type FaissFacts } from './index.ts';

/** Little-endian bytes of an IndexFlatL2 / IndexFlatIP, as faiss.write_index writes them. */
function flatIndex(vectors: readonly (readonly number[])[], metric: 'l2' | 'ip' = 'l2'): Buffer {
  const dimension = vectors[0]?.length ?? 1;
  const bytes = Buffer.alloc(45 + vectors.length * dimension * 4);
  bytes.write(metric === 'l2' ? 'IxF2' : 'IxFI', 'latin1');
  bytes.writeInt32LE(dimension, 4);
  bytes.writeBigInt64LE(BigInt(vectors.length), 8);
  bytes.writeBigInt64LE(1n << 20n, 16);
  bytes.writeBigInt64LE(1n << 20n, 24);
  bytes.writeUInt8(1, 32);
  bytes.writeInt32LE(metric === 'l2' ? 1 : 0, 33);
  bytes.writeBigUInt64LE(BigInt(vectors.length * dimension), 37);
  vectors.flat().forEach((value, index) => bytes.writeFloatLE(value, 45 + index * 4));
  return bytes;
}
const GRID = Array.from({ length: 20 }, (_, i) => [i, i * i, 1]);

let base: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'foodsave-vectors-'));
  await mkdir(join(base, 'vs'));
});
afterEach(async () => {
  await rm(base, { recursive: true, force: true });
});
const quick: Clock = { ...systemClock, sleep: () => Promise.resolve() };
const open = (driver: 'faiss' | 'directory', config: object = { path: 'vs' }, clock: Clock = quick): Component =>
  vectorStoreDrivers[driver].open(
    'vector_store',
    { driver, ...config },
    { baseDir: base, scratchDir: join(base, '.scratch'), clock, env: {}, encrypted: true },
  );

for (const driver of ['faiss', 'directory'] as const) {
  componentConformance(`vector_store/${driver}`, async () => {
    const directory = await mkdtemp(join(tmpdir(), 'foodsave-vectors-'));
    await mkdir(join(directory, 'data/vs'), { recursive: true });
    await writeFile(join(directory, 'data/vs/index.faiss'), flatIndex(GRID));
    await writeFile(join(directory, 'data/vs/index.json'), JSON.stringify({ count: 20 }));
    const context = {
      baseDir: directory,
      scratchDir: join(directory, '.scratch'),
      clock: systemClock,
      env: {},
      encrypted: true,
    };
    return {
      component: vectorStoreDrivers[driver].open('vector_store', { path: 'data/vs' }, context),
      cleanUp: () => rm(directory, { recursive: true, force: true }),
    };
  });
}

describe('indexes that FAISS itself wrote', () => {
  interface Golden {
    indexes: Record<string, { facts: Partial<FaissFacts>; search: number[][]; bytes: string }>;
  }
  const golden = async (): Promise<Golden['indexes']> =>
    (JSON.parse(await readFile(new URL('./testing/faiss-golden.json', import.meta.url), 'utf8')) as Golden).indexes;

  it.each(['l2', 'ip', 'map', 'map2', 'hnsw', 'ivf', 'sq', 'l1'])('%s', async (name) => {
    const expected = (await golden())[name];
    if (!expected) throw new Error('the golden file is not complete');
    const facts = await inspectFaiss(memoryReader(Buffer.from(expected.bytes, 'base64')));
    expect(facts).toMatchObject(expected.facts);
    // FAISS's own search finds the same neighbours in the same order.
    if (['l2', 'ip', 'map', 'map2'].includes(name)) {
      expect(facts.nearestNeighbours?.map(({ nearest }) => nearest)).toEqual(expected.search);
      expect(facts.compared).toBe(60);
    } else {
      expect(facts.nearestNeighbours).toBeNull();
    }
  });
});

describe('inspectFaiss', () => {
  it('refuses what is cut off, too long or makes no sense, at every length', async () => {
    const whole = flatIndex(GRID);
    for (let length = 0; length < whole.length; length++) {
      await expect(inspectFaiss(memoryReader(whole.subarray(0, length)))).rejects.toMatchObject({
        code: 'SOURCE_CORRUPT',
      });
    }
    await expect(inspectFaiss(memoryReader(Buffer.concat([whole, Buffer.of(0)])))).rejects.toMatchObject({
      code: 'SOURCE_CORRUPT',
    });
    const huge = Buffer.from(whole);
    huge.writeBigInt64LE(1n << 40n, 8);
    huge.writeBigUInt64LE(3n << 40n, 37);
    await expect(inspectFaiss(memoryReader(huge))).rejects.toMatchObject({ code: 'SOURCE_CORRUPT' });
  });

  it('ends with facts or SOURCE_CORRUPT for any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('IxF2', 'IxMp', 'IHNf', 'IwFl'),
        fc.uint8Array({ maxLength: 120 }),
        async (kind, tail) => {
          const bytes = Buffer.concat([Buffer.from(kind), tail]);
          await inspectFaiss(memoryReader(bytes)).catch((error: unknown) => {
            if (!(error instanceof BackupError) || error.code !== 'SOURCE_CORRUPT') throw error;
          });
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('takes an empty index, and one vector', async () => {
    expect(await inspectFaiss(memoryReader(flatIndex([])))).toMatchObject({ vectors: 0, nearestNeighbours: null });
    expect((await inspectFaiss(memoryReader(flatIndex([[1, 2]], 'ip')))).nearestNeighbours).toEqual([
      { query: 0, nearest: [0] },
    ]);
  });
});

describe('the faiss driver', () => {
  const put = async (index: Buffer = flatIndex(GRID), sidecar?: unknown): Promise<void> => {
    await writeFile(join(base, 'vs/index.faiss'), index);
    if (sidecar !== undefined)
      await writeFile(join(base, 'vs/docs.json'), typeof sidecar === 'string' ? sidecar : JSON.stringify(sidecar));
  };

  it.each([1, 2])(
    'keeps the facts of the captured bytes, which a restored store proves again (%i)',
    async (attempt) => {
      await put(undefined, { ids: GRID.map((_, i) => `doc-${i}`), embedding_model: 'minilm' });
      const component = open('faiss');
      const captured = await capture(component, undefined, { attempt });
      expect(captured.entries.map(({ path }) => path)).toEqual(['vs', 'vs/docs.json', 'vs/index.faiss']);
      expect(captured.facts).toMatchObject({
        engine: 'faiss',
        vectors: 20,
        dimension: 3,
        metric: 'l2',
        embeddingModel: 'minilm',
        sidecar: { path: 'vs/docs.json', count: 20 },
        nearestNeighbours: [
          { query: 0, nearest: [0, 1, 2] },
          { query: 9, nearest: [9, 8, 10] },
          { query: 19, nearest: [19, 18, 17] },
        ],
        files: 2,
      });
      if (attempt === 2) expect(await readdir(join(base, '.scratch'))).toEqual([]);
      const target = join(base, 'target');
      await restoreInto(component, captured, restoreRun({ kind: 'target', directory: target }, captured.facts));
      const check = async (facts: ComponentFacts): Promise<unknown> => {
        const reader = await fileReader(join(target, 'vs/index.faiss'));
        try {
          return await verifyFacts((path) => Promise.resolve(path === 'vs/index.faiss' ? reader : undefined), facts);
        } finally {
          await reader.close();
        }
      };
      expect(await check(captured.facts)).toEqual({ ok: true, differences: [], checked: 1 });
      await writeFile(join(target, 'vs/index.faiss'), flatIndex(GRID.toReversed()));
      expect(await check(captured.facts)).toMatchObject({
        ok: false,
        differences: [expect.stringMatching(/nearestNeighbours differs/)],
      });
      expect(await verifyFacts(() => Promise.resolve(undefined), captured.facts)).toMatchObject({ ok: false });
    },
  );

  it.each([
    ['counts something else', { count: 19 }],
    ['is another number of documents', Array.from({ length: 21 })],
  ])('refuses a sidecar that %s', async (_, sidecar) => {
    await put(undefined, sidecar);
    await expect(capture(open('faiss'))).rejects.toMatchObject({
      code: 'SOURCE_CORRUPT',
      message: expect.stringMatching(/counts (19|21), but the index has 20/) as string,
    });
  });

  it('refuses a broken index, an empty store and a missing one', async () => {
    await put(flatIndex(GRID).subarray(0, 100));
    await expect(capture(open('faiss'))).rejects.toMatchObject({ code: 'SOURCE_CORRUPT' });
    await rm(join(base, 'vs/index.faiss'));
    await expect(capture(open('faiss'))).rejects.toMatchObject({ code: 'SOURCE_MISSING' });
    await expect(open('directory').probe()).rejects.toMatchObject({ code: 'SOURCE_MISSING' });
    await expect(capture(open('faiss', { path: 'nowhere' }))).rejects.toMatchObject({ code: 'SOURCE_MISSING' });
    expect(() => open('directory', { path: 'vs', sidecar: 'x' })).toThrow(/sidecar is not a known setting/);
  });

  it('never opens a pickle, and says that it could not look', async () => {
    await put();
    await writeFile(join(base, 'vs/index.pkl'), 'cos\nsystem\n');
    expect((await capture(open('faiss'))).facts).toMatchObject({ sidecar: { path: 'vs/index.pkl', count: null } });
  });

  it('takes an index file alone with what belongs to it by name', async () => {
    await put();
    await writeFile(join(base, 'vs/index.json'), '{"count": 20}');
    await writeFile(join(base, 'vs/other.txt'), 'x');
    const captured = await capture(open('faiss', { path: 'vs/index.faiss' }));
    expect(captured.entries.map(({ path }) => path)).toEqual(['vs', 'vs/index.faiss', 'vs/index.json']);
    expect(captured.facts).toMatchObject({ sidecar: { count: 20 }, files: 2 });
  });

  it('tries again when a writer is at work, and gives up with a clear error', async () => {
    await put(undefined, { count: 21 });
    let pauses = 0;
    const fixing: Clock = {
      ...systemClock,
      sleep: async () => {
        pauses++;
        if (pauses === 2) await put(undefined, { count: 20 });
      },
    };
    expect((await capture(open('faiss', undefined, fixing))).facts).toMatchObject({ vectors: 20 });
    expect(pauses).toBe(2);
  });

  it('does not believe files that changed while they were read where they lie, and copies them then', async () => {
    await put(undefined, { count: 20 });
    const component = open('faiss');
    let read = 0;
    const watched: Component = {
      ...component,
      openDump: async (run) => {
        const dump = await component.openDump(run);
        return {
          async *entries() {
            for await (const entry of dump.entries()) {
              yield entry;
              // Both files are written after the first of them was read: index and sidecar of two moments.
              if (entry.path.endsWith('docs.json') && ++read === 1)
                await put(flatIndex(GRID.slice(0, 5)), { count: 5 });
            }
          },
          facts: () => dump.facts(),
          close: () => dump.close(),
        };
      },
    };
    const captured = await capture(watched);
    expect(read).toBe(2);
    expect(captured.facts).toMatchObject({ vectors: 5, sidecar: { count: 5 } });
    expect(captured.entries.map(({ size }) => size)).toEqual([0, 11, flatIndex(GRID.slice(0, 5)).length]);
  });

  it('reads nothing of a store that is as the newest backup has it, and keeps its facts', async () => {
    await put(undefined, { count: 20 });
    const later: Clock = { ...quick, now: () => systemClock.now() + 60_000 };
    const first = await capture(open('faiss', undefined, later));
    const previous = (path: string): PreviousEntry | undefined => {
      const entry = first.entries.find((one) => one.path === path);
      return entry && { kind: entry.kind, size: entry.size, meta: entry.meta, sha256: Buffer.alloc(32) };
    };
    const run = { previous, previousFacts: { ...first.facts, vectors: 12_345 } };
    const second = await capture(open('faiss', undefined, later), undefined, run);
    expect(second.entries.filter(({ kind }) => kind === 'file').map(({ unchanged }) => unchanged)).toEqual([
      true,
      true,
    ]);
    expect(second.facts).toMatchObject({ vectors: 12_345 });
    const model = { path: 'vs', embeddingModel: 'other' };
    const asked = await capture(open('faiss', model, later), undefined, run);
    expect(asked.facts).toMatchObject({ vectors: 20, embeddingModel: 'other' });
    await rm(join(base, 'vs/docs.json'));
    expect((await capture(open('faiss', undefined, later), undefined, run)).facts).toMatchObject({ vectors: 20 });
  });

  it('restores a changed store in place', async () => {
    await put(undefined, { count: 20 });
    const component = open('faiss');
    const captured = await capture(component);
    await put(flatIndex(GRID.slice(0, 5)), { count: 5 });
    await restoreInto(component, captured, restoreRun({ kind: 'live' }, captured.facts));
    expect(Buffer.compare(await readFile(join(base, 'vs/index.faiss')), flatIndex(GRID))).toBe(0);
  });
});

describe('the directory driver', () => {
  it('gives up when a writer leaves no quiet moment', async () => {
    await writeFile(join(base, 'vs/segment'), 'abc');
    // The private copies lie in the store itself here, so that every look finds something new.
    const context = { baseDir: base, scratchDir: join(base, 'vs/scratch'), clock: quick, env: {}, encrypted: true };
    const component = vectorStoreDrivers.directory.open('vector_store', { path: 'vs' }, context);
    const captured = capture(component, undefined, { attempt: 2 });
    await expect(captured).rejects.toMatchObject({ code: 'SOURCE_CHANGED' });
    expect(await readdir(join(base, 'vs/scratch'))).toEqual([]);
  });

  it('vouches for files that have not changed since a settled backup', async () => {
    await writeFile(join(base, 'vs/segment'), 'abc');
    const later: Clock = { ...quick, now: () => systemClock.now() + 3_600_000 };
    const component = open('directory', { path: 'vs', embeddingModel: 'm' }, later);
    const first = await capture(component);
    expect(first.facts).toMatchObject({ engine: 'directory', embeddingModel: 'm', files: 1 });
    const dump = await component.openDump({
      signal: new AbortController().signal,
      warn: () => undefined,
      previous: (path) =>
        first.entries
          .filter((entry) => entry.path === path)
          .map((entry) => ({ ...entry, sha256: new Uint8Array(32) }))[0],
    });
    const flags: unknown[] = [];
    for await (const entry of dump.entries()) flags.push([entry.path, entry.unchanged, entry.content]);
    await dump.close();
    expect(flags).toEqual([
      ['vs', undefined, undefined],
      ['vs/segment', true, undefined],
    ]);
  });
});
