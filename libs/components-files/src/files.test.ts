import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { chmod, lstat, mkdir, mkdtemp, rm, symlink, truncate, utimes, writeFile, link } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  decodeName,
  encodeName,
  type Component,
  type ComponentContext,
  type DumpRun,
  type PreviousEntry,
} from '@foodsave-backup/component';
import {
  capture,
  componentConformance,
  restoreInto,
  restoreRun,
  snapshotTree,
  type Captured,
} from '@foodsave-backup/component/conformance';
import { systemClock, type Clock } from '@foodsave-backup/kernel';
import { filesDriver } from './index.ts';

let base: string;
const directories: string[] = [];
afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true });
});
const temporary = async (): Promise<string> => {
  const directory = await mkdtemp(join(tmpdir(), 'foodsave-files-'));
  directories.push(directory);
  return directory;
};
beforeEach(async () => {
  base = await temporary();
});

const later: Clock = { ...systemClock, now: () => systemClock.now() + 3_600_000 };
const context = (over: Partial<ComponentContext> = {}): ComponentContext => ({
  baseDir: base,
  scratchDir: join(base, '.scratch'),
  clock: systemClock,
  env: {},
  encrypted: true,
  ...over,
});
const open = (config: object, over: Partial<ComponentContext> = {}): Component =>
  filesDriver.open('files', { driver: 'directory', ...config }, context(over));
const paths = (captured: Captured): string[] => captured.entries.map((entry) => entry.path);
const put = async (path: string, text = path): Promise<void> => {
  await mkdir(join(base, path, '..'), { recursive: true });
  await writeFile(join(base, path), text);
};

componentConformance('files/directory', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'foodsave-files-'));
  mkdirSync(join(directory, 'data/sub'), { recursive: true });
  writeFileSync(join(directory, 'data/a.txt'), 'a');
  writeFileSync(join(directory, 'data/sub/big.bin'), Buffer.alloc(3 * 1024 * 1024, 7));
  await symlink('../..', join(directory, 'data/sub/up'));
  const component = filesDriver.open(
    'files',
    { include: ['data'] },
    { baseDir: directory, scratchDir: directory, clock: systemClock, env: {}, encrypted: true },
  );
  return { component, cleanUp: () => rm(directory, { recursive: true, force: true }) };
});

describe('what is captured', () => {
  it('takes names of any bytes, link loops, empty directories and holes', async () => {
    const odd = Buffer.concat([Buffer.from(`${base}/data/`), Buffer.from('caf\xe9 \n', 'latin1')]);
    await mkdir(join(base, 'data/empty'), { recursive: true });
    await writeFile(odd, 'odd');
    await symlink('loop', join(base, 'data/loop'));
    await symlink(Buffer.from('gone\xff', 'latin1'), join(base, 'data/dangling'));
    await writeFile(join(base, 'data/sparse'), '');
    await truncate(join(base, 'data/sparse'), 32 * 1024 * 1024);
    await chmod(join(base, 'data/empty'), 0o750);
    const component = open({ include: ['./data'] });
    const captured = await capture(component);
    expect(paths(captured)).toEqual([
      'data',
      'data/caf\udce9 \n',
      'data/dangling',
      'data/empty',
      'data/loop',
      'data/sparse',
    ]);
    expect(captured.facts).toMatchObject({ files: 2, directories: 2, links: 2, special: 0, unreadable: 0 });
    const target = join(await temporary(), 't');
    await restoreInto(component, captured, restoreRun({ kind: 'target', directory: target }, captured.facts));
    expect(await snapshotTree(join(target, 'data'))).toEqual(await snapshotTree(join(base, 'data')));
    expect((await lstat(join(target, 'data/sparse'))).blocks).toBeLessThan(1000);
    expect(decodeName(encodeName('caf\udce9 \n'))).toBe('caf\udce9 \n');
  });

  it('never opens FIFOs, sockets and devices: records the first, and says that it skips the others', async () => {
    await put('data/a');
    execFileSync('mkfifo', [join(base, 'data/pipe')]);
    execFileSync('mknod', [join(base, 'data/device'), 'c', '1', '3']);
    const server = createServer().listen(join(base, 'data/socket'));
    await new Promise((done) => server.once('listening', done));
    const captured = await capture(open({ include: ['data'] }));
    server.close();
    expect(captured.entries.map(({ kind, path }) => `${kind} ${path}`)).toEqual([
      'directory data',
      'file data/a',
      'fifo data/pipe',
    ]);
    expect(captured.warnings.map(({ code, path }) => `${code} ${path ?? ''}`)).toEqual([
      'SPECIAL_FILE_SKIPPED data/device',
      'SPECIAL_FILE_SKIPPED data/socket',
    ]);
    expect(captured.facts).toMatchObject({ special: 1, skipped: 2 });
  });

  it('refuses a missing include path and an empty list, instead of an empty success', async () => {
    await put('data/a');
    await expect(capture(open({ include: ['data', 'uploads'] }))).rejects.toMatchObject({ code: 'SOURCE_MISSING' });
    await expect(open({ include: ['uploads'] }).probe()).rejects.toMatchObject({ code: 'SOURCE_MISSING' });
    expect(() => open({ include: [] })).toThrow(/include must not be empty/);
    expect(() => open({ include: ['data'], exlude: [] })).toThrow(/exlude is not a known setting/);
  });

  it('merges overlapping include paths, files and paths outside the base directory', async () => {
    const outside = await temporary();
    await writeFile(join(outside, 'o.txt'), 'o');
    for (const path of ['data/x/1', 'data/x/2', 'data/y', 'conf/app.yaml', 'conf/other']) await put(path);
    const captured = await capture(
      open({ include: ['data/x', 'data', join(base, 'data/x/1'), 'conf/app.yaml', outside] }),
    );
    expect(paths(captured)).toEqual([
      `_outside${outside}`,
      `_outside${outside}/o.txt`,
      'conf',
      'conf/app.yaml',
      'data',
      'data/x',
      'data/x/1',
      'data/x/2',
      'data/y',
    ]);
  });

  it('captures the base directory itself, its own stages aside', async () => {
    await put('a');
    await put('_outside/etc/x');
    await put('.foodsave-backup-stage-1/f0');
    const captured = await capture(open({ include: ['.'] }));
    expect(paths(captured)).toEqual([
      `_outside${base}/_outside`,
      `_outside${base}/_outside/etc`,
      `_outside${base}/_outside/etc/x`,
      'a',
    ]);
  });

  it('says when an include path is only a link', async () => {
    await put('real/a');
    await symlink('real', join(base, 'data'));
    const captured = await capture(open({ include: ['data'] }));
    expect(captured.entries).toMatchObject([{ path: 'data', kind: 'symlink', linkTarget: 'real' }]);
    expect(captured.warnings).toMatchObject([{ code: 'INCLUDE_IS_LINK' }]);
    expect(captured.facts.incomplete).toBe(true);
    // A link on the way to an include path is the operator's own choice.
    expect(paths(await capture(open({ include: ['data/a'] })))).toEqual(['data', 'data/a']);
  });

  it('counts hard links', async () => {
    await put('data/a');
    await link(join(base, 'data/a'), join(base, 'data/b'));
    expect((await capture(open({ include: ['data'] }))).facts).toMatchObject({ files: 2, hardLinked: 2 });
  });
});

describe('patterns', () => {
  it('follow .gitignore, with the configuration above the files and the nearest file above the others', async () => {
    for (const path of [
      'data/a.tmp',
      'data/keep.tmp',
      'data/A.TMP',
      'data/cache/x',
      'data/deep/cache/y',
      'data/deep/z.log',
      'data/deep/y.log',
    ])
      await put(path);
    await put('data/.backupignore', '*.log\n# comment\n/only-here\n');
    await put('data/only-here', 'x');
    await put('data/deep/only-here', 'x');
    await put('data/deep/.backupignore', '!z.log\n');
    const exclude = ['*.tmp', '!keep.tmp', 'data/cache/'];
    expect(paths(await capture(open({ include: ['data'], exclude })))).toEqual([
      'data',
      'data/.backupignore',
      'data/A.TMP',
      'data/deep',
      'data/deep/.backupignore',
      'data/deep/cache',
      'data/deep/cache/y',
      'data/deep/only-here',
      'data/deep/z.log',
      'data/keep.tmp',
    ]);
    expect(paths(await capture(open({ include: ['data'], exclude, ignoreFiles: false })))).toContain('data/deep/y.log');
  });

  it('keeps an include path that lies in an excluded directory', async () => {
    for (const path of ['data/cache/drop', 'data/cache/keep/1', 'data/cache/keep/2.tmp', 'data/x']) await put(path);
    const wanted = ['data', 'data/cache', 'data/cache/keep', 'data/cache/keep/1', 'data/x'];
    expect(paths(await capture(open({ include: ['data', 'data/cache/keep'], exclude: ['cache/', '*.tmp'] })))).toEqual(
      wanted,
    );
    expect(paths(await capture(open({ include: ['data/cache/keep'], exclude: ['cache/', '*.tmp'] })))).toEqual(
      wanted.slice(0, 4),
    );
  });
});

describe('a source that moves', () => {
  const run = (over: Partial<DumpRun> = {}): DumpRun & { codes: string[] } => {
    const codes: string[] = [];
    return {
      codes,
      signal: new AbortController().signal,
      warn: ({ code, path }) => codes.push(`${code} ${path ?? ''}`),
      previous: () => undefined,
      ...over,
    };
  };

  it('reports files and directories that vanish or are swapped while it walks', async () => {
    await put('data/a');
    for (const path of ['data/d1/x', 'data/d2/x', 'data/d3/x']) await put(path);
    for (let i = 0; i < 60; i++) await put(`data/d9/f${i}`);
    const watched = run();
    const dump = await open({ include: ['data'] }).openDump(watched);
    const seen: string[] = [];
    for await (const entry of dump.entries()) {
      seen.push(entry.path);
      if (entry.path === 'data/d1') rmSync(join(base, 'data/d2'), { recursive: true });
      if (entry.path === 'data/d3') {
        renameSync(join(base, 'data/d3'), join(base, 'data/moved'));
        writeFileSync(join(base, 'data/d3'), 'now a file');
      }
      if (entry.path === 'data/d9/f0') rmSync(join(base, 'data/d9/f9'));
    }
    expect(seen).toContain('data/d9/f8');
    expect(seen).not.toContain('data/d2/x');
    expect(watched.codes).toEqual(['VANISHED data/d2', 'VANISHED data/d3', 'VANISHED data/d9/f9']);
    expect(await dump.facts()).toMatchObject({ incomplete: true, vanished: 3 });
  });

  it('marks a large file that changes while it is read, with as many bytes as it had', async () => {
    const size = 5 * 1024 * 1024;
    writeFileSync(join(base, 'big'), Buffer.alloc(size, 1));
    const watched = run();
    const dump = await open({ include: ['big'] }).openDump(watched);
    for await (const entry of dump.entries()) {
      if (entry.content?.kind !== 'stream') throw new Error('a stream was expected');
      let bytes = 0;
      for await (const piece of entry.content.open()) {
        bytes += piece.length;
        appendFileSync(join(base, 'big'), 'more');
      }
      expect(bytes).toBe(size);
      expect(await entry.content.finish?.()).toMatchObject({ changed: true });
    }
    expect(watched.codes).toEqual(['CHANGED_WHILE_READ big']);
    expect(await dump.facts()).toMatchObject({ changedWhileRead: 1, incomplete: true });
  });

  it('vouches for unchanged files only when their stored times were not racy', async () => {
    await put('data/a', 'one');
    const previousOf = async (clock: Clock): Promise<(path: string) => PreviousEntry | undefined> => {
      const { entries } = await capture(open({ include: ['data'] }, { clock }));
      const byPath = new Map(
        entries.map(({ path, kind, size, meta }) => [path, { kind, size, meta, sha256: new Uint8Array(32) }]),
      );
      return (path) => byPath.get(path);
    };
    const unchanged = async (previous: DumpRun['previous']): Promise<boolean[]> => {
      const dump = await open({ include: ['data/a'] }, { clock: later }).openDump(run({ previous }));
      const flags: boolean[] = [];
      for await (const entry of dump.entries())
        if (entry.kind === 'file') flags.push(entry.unchanged === true && entry.content === undefined);
      return flags;
    };
    // Captured within the granularity of its time stamps: it must be read again.
    expect(await unchanged(await previousOf(systemClock))).toEqual([false]);
    const calm = await previousOf(later);
    expect(await unchanged(calm)).toEqual([true]);
    // Same size, same modification time: the change time gives it away.
    const { mtime } = await lstat(join(base, 'data/a'));
    await put('data/a', 'two');
    await utimes(join(base, 'data/a'), mtime, mtime);
    expect(await unchanged(calm)).toEqual([false]);
  });
});
