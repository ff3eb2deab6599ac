import { appendFile, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { componentApi, type Component, type ComponentApi, type ComponentDriver } from '@foodsave-backup/component';
import { capture, componentConformance, restoreInto, restoreRun } from '@foodsave-backup/component/conformance';
import { systemClock } from '@foodsave-backup/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const plugin = (await import(new URL('./key-value.mjs', import.meta.url).href)) as {
  default: (api: ComponentApi) => ComponentDriver;
};
const driver = plugin.default(componentApi);

const record = (seq: number, value: unknown = 'x'): string => `${JSON.stringify({ seq, key: `k${seq}`, value })}\n`;
const records = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, index) => record(from + index)).join('');

function openStore(baseDir: string, config: unknown = { path: 'data/store.jsonl' }): Component {
  const context = { baseDir, scratchDir: baseDir, clock: systemClock, env: {}, encrypted: true };
  return driver.open('key_value:main', config, context);
}

async function newStore(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'foodsave-key-value-'));
  await mkdir(join(directory, 'data'));
  await writeFile(join(directory, 'data/store.jsonl'), records(1, 3));
  return directory;
}

// #region conformance
componentConformance('key_value', async () => {
  const directory = await newStore();
  return {
    component: openStore(directory),
    cleanUp: () => rm(directory, { recursive: true, force: true }),
    verifyTarget: async (target) => {
      expect(await readFile(join(target, 'data/store.jsonl'), 'utf8')).toBe(records(1, 3));
    },
  };
});
// #endregion

describe('the key-value component', () => {
  let base: string;
  let store: string;
  beforeEach(async () => {
    base = await newStore();
    store = join(base, 'data/store.jsonl');
  });
  afterEach(async () => {
    await rm(base, { recursive: true, force: true });
  });
  const bytes = async (): Promise<string> =>
    Buffer.from((await capture(openStore(base))).entries.at(-1)?.bytes ?? []).toString();

  it('captures whole records only, and counts them', async () => {
    await appendFile(store, record(4).slice(0, 10));
    const { entries, facts } = await capture(openStore(base));
    expect(entries.map(({ path, kind }) => [path, kind])).toEqual([
      ['data', 'directory'],
      ['data/store.jsonl', 'file'],
    ]);
    expect(Buffer.from(entries[1]?.bytes ?? []).toString()).toBe(records(1, 3));
    expect(entries[1]?.size).toBe(records(1, 3).length);
    expect(facts).toMatchObject({ records: 3, lastSeq: 3 });
    expect(facts.corrupt).toBeUndefined();
  });

  it('captures what was there when it began, whatever is appended meanwhile', async () => {
    const run = { signal: new AbortController().signal, warn: () => undefined, previous: () => undefined };
    const dump = await openStore(base).openDump(run);
    let captured = '';
    for await (const { content } of dump.entries()) {
      await appendFile(store, records(4, 9));
      if (content?.kind !== 'stream') continue;
      for await (const piece of content.open()) captured += Buffer.from(piece).toString();
    }
    await dump.close();
    // The first append came with the directory, before the store itself was looked at.
    expect(captured).toBe(records(1, 9));
    expect((await readFile(store, 'utf8')).length).toBeGreaterThan(captured.length);
  });

  it('reads records across pieces, and an empty store', async () => {
    const long = Array.from({ length: 5 }, (_, index) => record(index + 1, 'ä'.repeat(300_000))).join('');
    await writeFile(store, long);
    const { entries, facts } = await capture(openStore(base));
    expect(Buffer.from(entries.at(-1)?.bytes ?? []).toString()).toBe(long);
    expect(facts).toMatchObject({ records: 5, lastSeq: 5 });
    await writeFile(store, '');
    expect(await bytes()).toBe('');
  });

  it.each([
    ['no JSON', `${record(4)}garbage\n${record(5)}`, 5],
    ['a number that does not grow', `${record(4)}${record(4)}${record(5)}`, 5],
    ['no number', `${record(4)}{"key":"a"}\n${record(5)}`, 5],
    ['null', `${record(4)}null\n${record(5)}`, 5],
  ])('keeps a store with a damaged record as it is, and flags it: %s', async (_what, more, line) => {
    await appendFile(store, more);
    const { entries, facts } = await capture(openStore(base));
    expect(Buffer.from(entries.at(-1)?.bytes ?? []).toString()).toBe(records(1, 3) + more);
    expect(facts).toMatchObject({ corrupt: true, damagedRecords: 1, firstDamagedLine: line, lastSeq: 5 });
  });

  it('fails by name when the store is missing, is no file, has no end, or shrinks', async () => {
    const run = { signal: new AbortController().signal, warn: () => undefined, previous: () => undefined };
    const dump = await openStore(base).openDump(run);
    const shrunk = async (): Promise<void> => {
      for await (const { content } of dump.entries()) {
        if (content?.kind !== 'stream') continue;
        await truncate(store, 5);
        for await (const piece of content.open()) expect(piece.length).toBeGreaterThan(0);
      }
    };
    await expect(shrunk()).rejects.toMatchObject({ code: 'SOURCE_CHANGED' });
    await dump.close();
    await writeFile(store, 'x'.repeat(1024 * 1024 + 1));
    await expect(bytes()).rejects.toMatchObject({ code: 'SOURCE_CORRUPT' });
    await writeFile(store, `${'x'.repeat(3 * 1024 * 1024)}\n`);
    await expect(bytes()).rejects.toMatchObject({ code: 'SOURCE_CORRUPT' });
    await rm(store);
    await expect(openStore(base).probe()).rejects.toMatchObject({ code: 'SOURCE_MISSING' });
    await mkdir(store);
    await expect(bytes()).rejects.toMatchObject({ code: 'SOURCE_UNREADABLE' });
  });

  it('is restored in place with a word about the program that uses it', async () => {
    const component = openStore(base);
    const captured = await capture(component);
    await writeFile(store, record(99));
    const { notes } = await restoreInto(component, captured, restoreRun({ kind: 'live' }, captured.facts));
    expect(await readFile(store, 'utf8')).toBe(records(1, 3));
    expect(notes.join()).toMatch(/Restart the program/);
  });

  it('refuses wrong settings by name', () => {
    expect(() => openStore(base, {})).toThrow(/components\.key_value:main\.path is missing/);
    expect(() => openStore(base, { path: 'x', pth: 1 })).toThrow(/pth is not a known setting/);
  });
});
