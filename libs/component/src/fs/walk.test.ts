import { execFileSync } from 'node:child_process';
import { appendFile, link, mkdir, mkdtemp, open, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isHole, type Piece } from '@foodsave-backup/kernel';
import { TreeWalk, type ComponentWarning, type DumpEntry, type PreviousEntry } from '../index.ts';
import { loadNative } from './native-load.ts';
import type { NativeFs } from './native.ts';
import type { WalkOptions } from './walk.ts';

let base: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'foodsave-walk-'));
  await mkdir(join(base, 'data'));
});
afterEach(() => rm(base, { recursive: true, force: true }));

/** Later than any change here, so that nothing counts as racy. */
const LATER = BigInt(Date.now() + 3_600_000) * 1_000_000n;

interface Walked {
  entries: (DumpEntry & { pieces?: Piece[]; changed?: boolean })[];
  warnings: string[];
  walk: TreeWalk;
}

/** Walks `data` as the engine does: each content is read before the next entry is asked for. */
async function walk(over: Partial<WalkOptions> = {}): Promise<Walked> {
  const warnings: ComponentWarning[] = [];
  const tree = new TreeWalk({
    baseDir: base,
    roots: [join(base, 'data')],
    signal: new AbortController().signal,
    warn: (warning) => warnings.push(warning),
    startedNs: LATER,
    ...over,
  });
  const entries: Walked['entries'] = [];
  for await (const entry of tree.entries()) {
    if (entry.content?.kind !== 'stream') {
      entries.push(entry);
      continue;
    }
    const pieces: Piece[] = [];
    for await (const piece of entry.content.open({ holes: true }))
      pieces.push('hole' in piece ? piece : Buffer.from(piece));
    const end = await entry.content.finish?.();
    entries.push({ ...entry, meta: end?.meta ?? entry.meta, pieces, changed: end?.changed ?? false });
  }
  return { entries, warnings: warnings.map(({ code, path }) => `${code} ${path ?? ''}`), walk: tree };
}

/** What `previous()` would answer after a backup of these entries. */
function remembered(entries: readonly DumpEntry[]): (path: string) => PreviousEntry | undefined {
  const known = new Map(entries.map((entry) => [entry.path, entry]));
  return (path) => {
    const entry = known.get(path);
    return entry && { kind: entry.kind, size: entry.size, meta: entry.meta, sha256: new Uint8Array(32) };
  };
}

/** The bindings, counting every call. */
function counting(native: NativeFs): { native: NativeFs; calls: string[] } {
  const calls: string[] = [];
  const proxy = new Proxy(native, {
    get(target, name: keyof NativeFs) {
      calls.push(name);
      return target[name];
    },
  });
  return { native: proxy, calls };
}

async function bindings(): Promise<NativeFs> {
  const native = await loadNative();
  if (!native) throw new Error('koffi cannot be loaded here');
  return native;
}

describe('a source that moves', () => {
  /** Carries out `act` between the look at `data/x` (or another path) and its opening. */
  const between = (act: () => Promise<unknown>, at = 'data/x'): Partial<WalkOptions> => ({
    previous: async (path) => {
      if (path === at) await act();
      return undefined;
    },
  });
  const x = (): string => join(base, 'data/x');

  it.each<[string, () => Promise<unknown>]>([
    ['vanishes', () => rm(x())],
    ['becomes a link to a secret', () => rm(x()).then(() => symlink('/etc/passwd', x()))],
    ['becomes a FIFO, which nobody writes to', () => rm(x()).then(() => execFileSync('mkfifo', [x()]))],
    ['becomes a directory', () => rm(x()).then(() => mkdir(x()))],
  ])('a file that %s before it is opened is listed as vanished', async (_what, act) => {
    await writeFile(x(), 'x');
    await writeFile(join(base, 'data/y'), 'y');
    const { entries, warnings, walk: tree } = await walk(between(act));
    expect(warnings).toEqual(['VANISHED data/x']);
    expect(entries.map(({ path }) => path)).toEqual(['data', 'data/y']);
    expect(tree.stats).toMatchObject({ vanished: 1, incomplete: true, files: 1 });
  });

  it('a directory that becomes a link before it is entered is not followed', async () => {
    await mkdir(join(base, 'elsewhere'));
    await writeFile(join(base, 'elsewhere/secret'), 'not yours');
    await mkdir(x());
    const swap = (): Promise<void> => rename(x(), join(base, 'gone')).then(() => symlink('../elsewhere', x()));
    const { entries, warnings } = await walk(between(swap));
    expect(entries.map(({ path }) => path)).toEqual(['data', 'data/x']);
    expect(warnings).toEqual(['VANISHED data/x']);
  });

  it('a directory that becomes a link while what lies in it is read is not followed either', async () => {
    await mkdir(join(base, 'elsewhere'));
    await writeFile(join(base, 'elsewhere/f'), 'not yours');
    await mkdir(x());
    await writeFile(join(x(), 'f'), 'mine');
    const swap = (): Promise<void> => rename(x(), join(base, 'gone')).then(() => symlink('../elsewhere', x()));
    const { entries } = await walk(between(swap, 'data/x/f'));
    expect(entries.find(({ path }) => path === 'data/x/f')?.pieces).toEqual([Buffer.from('mine')]);
  });

  it.each([
    ['grows', () => appendFile(x(), 'more'), 5_000_000],
    // Of it a piece is read ahead.
    ['shrinks', () => truncate(x(), 3_500_000), 3_500_000],
  ])('a large file that %s while it is read is marked, as long as it was found', async (_what, act, length) => {
    await writeFile(x(), Buffer.alloc(5_000_000, 7));
    const warnings: string[] = [];
    const tree = new TreeWalk({
      baseDir: base,
      roots: [join(base, 'data')],
      signal: new AbortController().signal,
      warn: ({ code }) => warnings.push(code),
      startedNs: LATER,
    });
    for await (const { content } of tree.entries()) {
      if (content?.kind !== 'stream') continue;
      let read = 0;
      for await (const piece of content.open()) {
        if (read === 0) await act();
        read += piece.length;
      }
      expect(read).toBe(length);
      const end = await content.finish?.();
      expect(end?.changed).toBe(true);
      // Without a change time the next backup cannot take it for unchanged.
      expect(end?.meta?.ctimeNs).toBeUndefined();
    }
    expect(warnings).toEqual(['CHANGED_WHILE_READ']);
    expect(tree.stats).toMatchObject({ changedWhileRead: 1, incomplete: true });
  });
});

describe('names of one file', () => {
  it('are told, and a later one is only opened when it is asked for', async () => {
    await writeFile(join(base, 'data/a'), 'x');
    await link(join(base, 'data/a'), join(base, 'data/b'));
    await link(join(base, 'data/a'), join(base, 'c'));
    const { entries } = await walk();
    const [, a, b] = entries;
    expect(a?.link).toMatchObject({ names: 3, again: false });
    expect(b?.link).toEqual({ id: a?.link?.id, names: 3, again: true });
    expect(b?.pieces).toEqual([Buffer.from('x')]);
  });

  it('that was changed since its first name was met is read by itself', async () => {
    await mkdir(join(base, 'data/z'));
    await writeFile(join(base, 'data/a'), 'x');
    await link(join(base, 'data/a'), join(base, 'data/z/b'));
    const previous = async (path: string): Promise<undefined> => {
      if (path === 'data/z') await appendFile(join(base, 'data/a'), 'y');
    };
    const { entries } = await walk({ previous });
    const b = entries.find(({ path }) => path === 'data/z/b');
    expect(b?.link?.again).toBe(false);
    expect(b?.pieces).toEqual([Buffer.from('xy')]);
  });
});

describe('the system calls that Node.js lacks', () => {
  const attribute = (path: string, value: string): void => {
    execFileSync('setfattr', ['-n', 'user.note', '-v', value, join(base, path)]);
  };

  it('are not made for what has not changed', async () => {
    await mkdir(join(base, 'data/sub'));
    await writeFile(join(base, 'data/sub/a'), 'x');
    await symlink('a', join(base, 'data/sub/l'));
    attribute('data/sub/a', 'mine');
    const native = await bindings();
    const first = await walk({ native });
    expect(first.walk.stats).toMatchObject({ xattrs: 1 });
    const spy = counting(native);
    const second = await walk({ native: spy.native, previous: remembered(first.entries) });
    expect(spy.calls).toEqual([]);
    const a = second.entries.find(({ path }) => path === 'data/sub/a');
    expect(a).toMatchObject({ unchanged: true, meta: { xattrs: [{ name: 'user.note', value: Buffer.from('mine') }] } });
    expect(second.walk.stats).toMatchObject({ xattrs: 1, unchanged: 1 });
    // A new value changes the change time.
    attribute('data/sub/a', 'yours');
    const third = await walk({ native, previous: remembered(first.entries) });
    const changed = third.entries.find(({ path }) => path === 'data/sub/a');
    expect(changed?.meta.xattrs).toEqual([{ name: 'user.note', value: Buffer.from('yours') }]);
  });

  it('are done without, which is said once, where they cannot be had', async () => {
    await writeFile(join(base, 'data/a'), 'x');
    attribute('data/a', 'mine');
    await using sparse = await open(join(base, 'data/sparse'), 'w');
    await sparse.truncate(2_000_000);
    const { entries, warnings, walk: tree } = await walk({ native: null });
    expect(warnings).toEqual(['NATIVE_UNAVAILABLE ']);
    expect(entries.map(({ meta }) => meta.xattrs)).toEqual([undefined, undefined, undefined]);
    expect(entries.at(-1)?.pieces?.some(isHole)).toBe(false);
    expect(tree.stats.xattrs).toBeUndefined();
    expect(tree.stats.incomplete).toBe(false);
  });

  it('find holes of 64 KiB and more, whatever lies between them', async () => {
    await using file = await open(join(base, 'data/sparse'), 'w');
    const data = Buffer.alloc(4096, 1);
    for (const at of [65_536, 200_704, 1_000_000]) await file.write(data, 0, data.length, at);
    await file.truncate(5_000_000);
    const { entries } = await walk();
    const pieces = entries.at(-1)?.pieces ?? [];
    expect(pieces[0]).toEqual({ hole: 65_536 });
    expect(pieces.at(-1)).toMatchObject({ hole: expect.any(Number) as number });
    const whole = Buffer.concat(pieces.map((piece) => (isHole(piece) ? Buffer.alloc(piece.hole) : piece)));
    const expected = Buffer.alloc(5_000_000);
    for (const at of [65_536, 200_704, 1_000_000]) data.copy(expected, at);
    expect(whole.equals(expected)).toBe(true);
    const read = pieces.reduce((sum, piece) => sum + (isHole(piece) ? 0 : piece.length), 0);
    expect(read).toBeLessThan(40_000);
  });
});
