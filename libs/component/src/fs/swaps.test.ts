import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '@foodsave-backup/kernel';
import { restoreRun, snapshotTree } from '../conformance/index.ts';
import {
  fileSwaps,
  openLiveFsRestore,
  recoverStages,
  type EntryMeta,
  type RestoreEntry,
  type SwapSink,
} from '../index.ts';
import { Anchor } from './anchor.ts';
import { StepRunner } from './journal.ts';
import { Metadata } from './metadata.ts';
import { readJournal } from './stage-files.ts';

let base: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'foodsave-swaps-'));
});
afterEach(async () => {
  await rm(base, { recursive: true, force: true });
});

const META: EntryMeta = {
  mode: 0o644,
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  mtimeNs: 1_700_000_000_123_456_789n,
};
const file = (path: string, text: string): RestoreEntry => ({
  path,
  kind: 'file',
  meta: META,
  size: Buffer.byteLength(text),
  sha256: createHash('sha256').update(text).digest(),
  async *content() {
    yield await Promise.resolve(Buffer.from(text));
  },
});
const directory = (path: string): RestoreEntry => ({
  path,
  kind: 'directory',
  size: 0,
  meta: { ...META, mode: 0o755 },
});
const live = (): Promise<SwapSink> =>
  openLiveFsRestore({
    run: restoreRun({ kind: 'live' }, { capturedAt: '2026-01-01T00:00:00Z' }),
    clock: systemClock,
    baseDir: base,
    roots: [join(base, 'data')],
  });

describe('a live restore of files', () => {
  it('whose undo was interrupted is undone once more without removing what the first undo had put back', async () => {
    await mkdir(join(base, 'data'));
    for (const name of ['a', 'b']) await writeFile(join(base, 'data', name), 'old');
    const before = await snapshotTree(join(base, 'data'));
    const sink = await live();
    for (const name of ['a', 'b', 'c']) await sink.write(file(`data/${name}`, 'new'));
    const ticket = (await sink.prepare()) ?? {};
    await sink.commit();
    for (const again of [false, true]) {
      expect(await fileSwaps.undo(ticket)).toBe(true);
      expect(await snapshotTree(join(base, 'data')), String(again)).toEqual(before);
    }
    await fileSwaps.clean(ticket);
    await fileSwaps.clean(ticket);
    expect(await readdir(base)).toEqual(['data']);
    await sink.close();
  });

  it('that died in its commit is finished from any number of steps, and again', async () => {
    for (let done = 0; done <= 5; done++) {
      await rm(join(base, 'data'), { recursive: true, force: true });
      await mkdir(join(base, 'data/gone'), { recursive: true });
      for (const name of ['a', 'b', 'gone/x']) await writeFile(join(base, 'data', name), 'old');
      const sink = await live();
      const entries = [directory('data'), file('data/a', 'new'), directory('data/m'), file('data/m/c', 'new')];
      await sink.plan(
        (async function* () {
          for (const entry of entries) yield await Promise.resolve(entry);
        })(),
      );
      for (const entry of entries) await sink.write(entry);
      const ticket = (await sink.prepare()) ?? {};
      const { header, steps } = (await readJournal(String(ticket['stage']))) ?? { header: { anchors: [] }, steps: [] };
      expect(steps.map(({ step }) => step)).toEqual([
        'remove',
        'rmdir',
        'remove',
        'put',
        'mkdir',
        'put',
        'meta',
        'meta',
      ]);
      expect((await fileSwaps.look(ticket, false)).moved).toBe('nothing');
      const anchors = await Promise.all(header.anchors.map((path) => Anchor.open(path)));
      const runner = new StepRunner(anchors, await Metadata.open());
      for (const step of steps.slice(0, done)) await runner.do(step);
      expect(await fileSwaps.look(ticket, false)).toEqual({
        moved: done === 0 ? 'nothing' : 'some',
        finishLoses: false,
        undoLoses: false,
      });
      for (const anchor of anchors) await anchor.close();
      for (let again = 0; again < 2; again++) {
        await fileSwaps.finish(ticket);
        expect([...(await snapshotTree(join(base, 'data'))).keys()].sort()).toEqual(['a', 'm', 'm/c']);
        expect(await readFile(join(base, 'data/a'), 'utf8')).toBe('new');
        expect((await fileSwaps.look(ticket, false)).moved).toBe('all');
      }
      await fileSwaps.clean(ticket);
      expect(await readdir(base)).toEqual(['data']);
      await sink.close();
    }
  });

  it('that died in its commit tells what somebody has written since, and keeps what was set aside', async () => {
    await mkdir(join(base, 'data'));
    for (const name of ['a', 'b']) await writeFile(join(base, 'data', name), 'old');
    const sink = await live();
    for (const name of ['a', 'b']) await sink.write(file(`data/${name}`, 'new'));
    const ticket = (await sink.prepare()) ?? {};
    const stage = String(ticket['stage']);
    const { header, steps } = (await readJournal(stage)) ?? { header: { anchors: [] }, steps: [] };
    const anchors = await Promise.all(header.anchors.map((path) => Anchor.open(path)));
    for (const step of steps.slice(0, 1)) await new StepRunner(anchors, await Metadata.open()).do(step);
    for (const anchor of anchors) await anchor.close();
    await writeFile(join(base, 'data/b'), 'of the application');
    expect(await fileSwaps.look(ticket, false)).toEqual({ moved: 'some', finishLoses: true, undoLoses: false });
    await writeFile(join(base, 'data/a'), 'of the application too');
    expect(await fileSwaps.look(ticket, false)).toEqual({ moved: 'some', finishLoses: true, undoLoses: true });
    expect(await fileSwaps.keep(ticket)).toEqual([stage]);
    expect(await recoverStages(base)).toEqual([]);
    expect(await readFile(join(stage, 'f0.old'), 'utf8')).toBe('old');
    expect(await readFile(join(base, 'data/a'), 'utf8')).toBe('of the application too');
    sink.keep();
    await sink.close();
  });

  it('whose live file has the size and the time of the backup, and another content, is previewed as it will be', async () => {
    await mkdir(join(base, 'data'));
    for (const name of ['a', 'b']) await writeFile(join(base, 'data', name), name === 'a' ? 'new' : 'old');
    const seconds = Number(META.mtimeNs) / 1e9;
    for (const name of ['a', 'b']) await utimes(join(base, 'data', name), seconds, seconds);
    const { mtimeNs } = await stat(join(base, 'data/b'), { bigint: true });
    const entries = ['a', 'b'].map((name) => ({ ...file(`data/${name}`, 'new'), meta: { ...META, mtimeNs } }));
    const sink = await live();
    const plan = await sink.plan(
      (async function* () {
        for (const entry of entries) yield await Promise.resolve(entry);
      })(),
    );
    expect(plan).toMatchObject({ replaced: ['data/b'], counts: { added: 0, replaced: 1, deleted: 0, unchanged: 1 } });
    for (const entry of entries) await sink.write(entry);
    expect(await sink.commit()).toMatchObject({ files: plan.counts.replaced, bytes: plan.bytes });
    await sink.close();
    expect(await readFile(join(base, 'data/b'), 'utf8')).toBe('new');
  });
});
