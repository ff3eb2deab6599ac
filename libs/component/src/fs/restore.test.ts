import { createHash } from 'node:crypto';
import { link, lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '@foodsave-backup/kernel';
import { restoreRun, snapshotTree } from '../conformance/index.ts';
import { openFsRestore, recoverStages, type EntryMeta, type RestoreEntry, type RestoreSink } from '../index.ts';
import { printOf, StepRunner, stepFromLine, stepToLine, type Step } from './journal.ts';
import { Anchor } from './anchor.ts';
import { defaultPolicy, Metadata, utimeSeconds } from './metadata.ts';
import { loadNative } from './native-load.ts';
import { parseMountInfo } from './mounts.ts';
import { STAGE_PREFIX } from './walk.ts';

let base: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'foodsave-restore-'));
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
const file = (path: string, text: string, over: Partial<RestoreEntry> = {}): RestoreEntry => ({
  path,
  kind: 'file',
  meta: META,
  size: Buffer.byteLength(text),
  sha256: createHash('sha256').update(text).digest(),
  async *content() {
    yield await Promise.resolve(Buffer.from(text));
  },
  ...over,
});
const directory = (path: string, mode = 0o755): RestoreEntry => ({
  path,
  kind: 'directory',
  size: 0,
  meta: { ...META, mode },
});
const facts = { capturedAt: '2026-01-01T00:00:00Z' };
const target = (name = 'target'): Promise<RestoreSink> =>
  openFsRestore({
    run: restoreRun({ kind: 'target', directory: join(base, name) }, facts),
    clock: systemClock,
    baseDir: base,
    roots: [],
  });
const live = (): Promise<RestoreSink> =>
  openFsRestore({
    run: restoreRun({ kind: 'live' }, facts),
    clock: systemClock,
    baseDir: base,
    roots: [join(base, 'data')],
  });

describe('a restore into a target directory', () => {
  it('sets modes and times, of directories last', async () => {
    const sink = await target();
    await sink.write(directory('d', 0o555));
    await sink.write(file('d/x', 'x', { meta: { ...META, mode: 0o4755 } }));
    await sink.write({ path: 'd/y', kind: 'symlink', size: 1, meta: META, linkTarget: '/etc/passwd' });
    const { files, bytes, notes } = await sink.commit();
    await sink.close();
    expect({ files, bytes }).toEqual({ files: 1, bytes: 1 });
    expect(notes.join(' ')).toMatch(/1 file had setuid or setgid/);
    for (const [name, mode] of [
      ['d', 0o555],
      ['d/x', 0o755],
    ] as const) {
      const stats = await lstat(join(base, 'target', name), { bigint: true });
      expect(Number(stats.mode & 0o7777n)).toBe(mode);
      expect(stats.mtimeNs).toBe(META.mtimeNs);
    }
    expect((await lstat(join(base, 'target/d/y'), { bigint: true })).mtimeNs).toBe(META.mtimeNs);
  });

  it.each(['/etc/x', '../x', 'a/../../x', 'a//b', '.', '', 'a\0b', '\ud800', '\udcc3\udca9'])(
    'refuses the path %j',
    async (path) => {
      const sink = await target();
      await expect(sink.write(file(path, 'evil'))).rejects.toMatchObject({ code: 'TARGET_INVALID' });
      await sink.close();
      expect([...(await snapshotTree(base)).keys()]).toEqual(['target']);
    },
  );

  it('never writes through a link, also one that the backup itself brings', async () => {
    await mkdir(join(base, 'outside'));
    const sink = await target();
    await sink.write({ path: 'a', kind: 'symlink', size: 1, meta: META, linkTarget: join(base, 'outside') });
    await expect(sink.write(file('a/evil', 'evil'))).rejects.toMatchObject({ code: 'TARGET_INVALID' });
    await expect(sink.write(file('a', 'evil'))).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    await expect(sink.write(directory('a'))).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    await sink.commit();
    await sink.close();
    expect(await readdir(join(base, 'outside'))).toEqual([]);
  });

  it('stays in the directory that it opened when a parent is swapped for a link meanwhile', async () => {
    await mkdir(join(base, 'outside'));
    const sink = await target();
    await sink.write(directory('d'));
    await sink.write(file('d/1', 'one'));
    await rename(join(base, 'target/d'), join(base, 'target/moved'));
    await symlink(join(base, 'outside'), join(base, 'target/d'));
    await sink.write(file('d/2', 'two'));
    await sink.write(file('e', 'three'));
    await expect(sink.write(file('d/3', 'four'))).rejects.toMatchObject({ code: 'TARGET_INVALID' });
    await sink.close();
    expect(await readdir(join(base, 'outside'))).toEqual([]);
    expect(await readdir(join(base, 'target/moved'))).toEqual(['1', '2']);
  });

  it('notices wrong content and leaves no part of it', async () => {
    const sink = await target();
    await expect(sink.write(file('a', 'aaa', { sha256: new Uint8Array(32) }))).rejects.toMatchObject({
      code: 'DATA_DAMAGED',
    });
    for (const size of [0, 2, 4, 2_000_000])
      await expect(sink.write(file('a', 'aaa', { size }))).rejects.toMatchObject({ code: 'DATA_DAMAGED' });
    const broken = async function* (): AsyncIterable<Uint8Array> {
      yield await Promise.resolve(Buffer.from('a'));
      throw new Error('the storage went away');
    };
    await expect(sink.write(file('a', 'aaa', { content: broken }))).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    await sink.close();
    expect(await readdir(join(base, 'target'))).toEqual([]);
  });

  it('replaces no existing file, but takes an equal one as restored', async () => {
    await mkdir(join(base, 'target'));
    await writeFile(join(base, 'target/a'), 'mine');
    const sink = await target();
    await expect(sink.write(file('a', 'theirs'))).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    await sink.write(file('a', 'mine'));
    await sink.close();
    expect(await readFile(join(base, 'target/a'), 'utf8')).toBe('mine');
  });

  it('keeps data and holes of sparse content in their places', async () => {
    const bytes = Buffer.alloc(1024 * 1024 + 100);
    bytes.fill(1, 70_000, 70_010);
    bytes.fill(2, bytes.length - 5);
    const sink = await target();
    const pieces = [bytes.subarray(0, 300_000), bytes.subarray(300_000)];
    const content = async function* (): AsyncIterable<Uint8Array> {
      for (const piece of pieces) yield await Promise.resolve(piece);
    };
    await sink.write(
      file('s', '', { size: bytes.length, sha256: createHash('sha256').update(bytes).digest(), content }),
    );
    await sink.close();
    expect(Buffer.compare(await readFile(join(base, 'target/s')), bytes)).toBe(0);
  });
});

describe('a live restore', () => {
  const stageNames = async (): Promise<string[]> =>
    (await readdir(base)).filter((name) => name.startsWith(STAGE_PREFIX));

  it('puts everything back when a step of the commit fails', async () => {
    await mkdir(join(base, 'data/z'), { recursive: true });
    for (const name of ['data/a', 'data/extra', 'data/z/kept']) await writeFile(join(base, name), 'old');
    const before = await snapshotTree(base);
    const sink = await live();
    await sink.plan(
      (async function* () {
        for (const entry of [directory('data'), file('data/a', 'new'), file('data/z', 'new')])
          yield await Promise.resolve(entry);
      })(),
    );
    await sink.write(directory('data'));
    await sink.write(file('data/a', 'new'));
    await sink.write(directory('data/m'));
    await sink.write(file('data/m/n', 'new'));
    await sink.write(file('data/z', 'new'));
    // Something that no plan has listed appears in a directory that has to go.
    await writeFile(join(base, 'data/z/late'), 'late');
    await expect(sink.commit()).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
      hint: expect.stringMatching(/put back/) as string,
    });
    await sink.close();
    await rm(join(base, 'data/z/late'));
    expect(await snapshotTree(base)).toEqual(before);
  });

  it('undoes an interrupted commit after every number of steps', async () => {
    for (let done = 0; done <= 7; done++) {
      await rm(join(base, 'data'), { recursive: true, force: true });
      await mkdir(join(base, 'data/d'), { recursive: true });
      for (const name of ['data/a', 'data/b', 'data/d/gone']) await writeFile(join(base, name), `old ${name}`);
      await symlink('a', join(base, 'data/l'));
      const before = await snapshotTree(join(base, 'data'));
      const stage = join(base, `${STAGE_PREFIX}test${done}`);
      await mkdir(stage, { mode: 0o700 });
      for (const name of ['f0', 'f1', 'f2']) await writeFile(join(stage, name), 'new');
      const from = { ...META, mode: 0o644 };
      const steps: Step[] = [
        { step: 'remove', live: { at: 0, path: 'data/d/gone' }, aside: { at: 1, path: 'f9' } },
        { step: 'rmdir', live: { at: 0, path: 'data/d' }, meta: { ...META, mode: 0o755 } },
        {
          step: 'put',
          live: { at: 0, path: 'data/a' },
          staged: { at: 1, path: 'f0' },
          aside: { at: 1, path: 'f0.old' },
          was: (await printOf(join(base, 'data/a'))) ?? '',
        },
        {
          step: 'put',
          live: { at: 0, path: 'data/l' },
          staged: { at: 1, path: 'f1' },
          aside: { at: 1, path: 'f1.old' },
          was: (await printOf(join(base, 'data/l'))) ?? '',
        },
        { step: 'mkdir', live: { at: 0, path: 'data/new' } },
        {
          step: 'put',
          live: { at: 0, path: 'data/new/f' },
          staged: { at: 1, path: 'f2' },
          aside: { at: 1, path: 'f2.old' },
          is: (await printOf(join(stage, 'f2'))) ?? '',
        },
        { step: 'meta', live: { at: 0, path: 'data/b' }, kind: 'file', from, to: { ...from, mode: 0o600 } },
      ];
      const header = { version: 1, anchors: [base, stage], stages: [stage], policy: defaultPolicy() };
      await writeFile(
        join(stage, 'journal.jsonl'),
        [JSON.stringify(header), ...steps.map(stepToLine), '"end"', ''].join('\n'),
      );
      const anchors = [await Anchor.open(base), await Anchor.open(stage)];
      const runner = new StepRunner(anchors, await Metadata.open());
      for (const step of steps.slice(0, done)) await runner.do(step);
      // The crash may also come between the two halves of a replacement.
      if (done === 2) await link(join(base, 'data/a'), join(stage, 'f0.old'));
      for (const anchor of anchors) await anchor.close();
      expect(await recoverStages(base)).toEqual([{ path: stage, outcome: 'undone' }]);
      expect(await snapshotTree(join(base, 'data'))).toEqual(before);
      expect(await stageNames()).toEqual([]);
    }
  });

  it('removes stages whose journal is not complete, or whose commit had finished', async () => {
    await mkdir(join(base, `${STAGE_PREFIX}a`), { mode: 0o700 });
    await writeFile(join(base, `${STAGE_PREFIX}a/journal.jsonl`), '{"version":1}\n{"step":"mk');
    await mkdir(join(base, `${STAGE_PREFIX}b`), { mode: 0o700 });
    const header = { version: 1, anchors: [base], stages: [join(base, `${STAGE_PREFIX}b`)], policy: defaultPolicy() };
    await writeFile(
      join(base, `${STAGE_PREFIX}b/journal.jsonl`),
      `${JSON.stringify(header)}\n{"step":"mkdir","live":{"at":0,"path":"data"}}\n"end"\n`,
    );
    await writeFile(join(base, `${STAGE_PREFIX}b/done`), '');
    await mkdir(join(base, 'data'));
    expect((await recoverStages(base)).map(({ outcome }) => outcome)).toEqual(['removed', 'removed']);
    expect(await readdir(base)).toEqual(['data']);
  });

  it('does not act on a stage that another user could have made', async () => {
    await mkdir(join(base, `${STAGE_PREFIX}open`), { mode: 0o755 });
    await symlink('/etc', join(base, `${STAGE_PREFIX}link`));
    expect(await recoverStages(base)).toEqual([]);
    expect(await stageNames()).toHaveLength(2);
  });
});

describe('times', () => {
  // Before 1970, at its last nanosecond, and beyond what 32 bits and 53 bits of nanoseconds hold.
  const times = [-1n, -1_999_999_999n, 0n, 1n, 999_999_999n, 4_300_000_000_000_000_007n, 1_700_000_000_123_456_789n];

  it.each(times)('are exact for files, links and directories: %d ns', async (mtimeNs) => {
    await writeFile(join(base, 'f'), '');
    await symlink('nowhere', join(base, 'l'));
    await mkdir(join(base, 'd'));
    const metadata = await Metadata.open();
    for (const [name, kind] of [
      ['f', 'file'],
      ['l', 'symlink'],
      ['d', 'directory'],
    ] as const) {
      await metadata.applyToPath(join(base, name), kind, { ...META, mtimeNs });
      expect((await lstat(join(base, name), { bigint: true })).mtimeNs).toBe(mtimeNs);
    }
  });

  it('are good to the microsecond, and it is said, where the native module cannot be loaded', async () => {
    const native = await loadNative(() => Promise.reject(new Error('no binary for this machine')));
    expect(native).toBeUndefined();
    const metadata = new Metadata(defaultPolicy(), native);
    await writeFile(join(base, 'f'), '');
    await metadata.applyToPath(join(base, 'f'), 'file', META);
    const { mtimeNs } = await lstat(join(base, 'f'), { bigint: true });
    expect(Math.abs(Number(mtimeNs - META.mtimeNs))).toBeLessThanOrEqual(1_000);
    expect(metadata.notes()).toContainEqual(expect.stringContaining('to the microsecond'));
  });

  it('of what cannot be found fail as in Node.js', async () => {
    const native = await loadNative();
    expect(() => native?.setTimes(join(base, 'none'), 0n)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  });
});

describe('small parts', () => {
  it('keeps steps as lines, with times to the nanosecond and any name', () => {
    const step: Step = { step: 'rmdir', live: { at: 3, path: 'a\udcff"\n5n' }, meta: META };
    expect(stepFromLine(stepToLine(step))).toEqual(step);
  });
  it('reads mount points with blanks in their names', () => {
    const text =
      '36 35 98:0 / / rw - ext4 /dev/root rw\n37 36 98:1 /x /mnt/my\\040disk rw,noatime - ext4 /dev/sdb rw\n';
    expect(parseMountInfo(Buffer.from(text))).toEqual(['/', '/mnt/my disk']);
  });
  it('turns nanoseconds into seconds, also before 1970', () => {
    expect(utimeSeconds(1_500_000_000n)).toBe(1.5);
    expect(utimeSeconds(-500_000_000n)).toBe(-0.5);
  });
});
