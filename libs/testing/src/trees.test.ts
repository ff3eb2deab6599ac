import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, link, lutimes, mkdir, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compareTrees, tempDir, withTempDir } from './index.ts';
import type { TempDir } from './index.ts';

const WHEN = new Date('2026-01-02T03:04:05.678Z');

async function plant(root: string): Promise<void> {
  await mkdir(join(root, 'sub/empty'), { recursive: true });
  await writeFile(join(root, 'sub/file'), Buffer.alloc(2_500_000, 7));
  await writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x66, 0xff])]), 'not UTF-8');
  await link(join(root, 'sub/file'), join(root, 'sub/same'));
  await symlink('../somewhere', join(root, 'sub/link'));
  execFileSync('mkfifo', [join(root, 'fifo')]);
  for (const path of ['sub/file', 'fifo']) await utimes(join(root, path), WHEN, WHEN);
  await utimes(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x66, 0xff])]), WHEN, WHEN);
  await lutimes(join(root, 'sub/link'), WHEN, WHEN);
  for (const path of ['sub/empty', 'sub', '.']) await utimes(join(root, path), WHEN, WHEN);
}

describe('compareTrees', () => {
  let directory: TempDir;
  let a: string;
  let b: string;
  beforeEach(async () => {
    directory = await tempDir();
    a = directory.join('a');
    b = directory.join('b');
    await plant(a);
    await plant(b);
  });
  afterEach(() => directory.cleanup());

  const ignore = ['directory-mtime'] as const;

  it('finds equal trees equal', async () => {
    expect(await compareTrees(a, b)).toEqual([]);
  });

  it('finds a changed byte and a changed length', async () => {
    const bytes = Buffer.alloc(2_500_000, 7);
    bytes[2_400_000] = 8;
    await writeFile(join(b, 'sub/file'), bytes);
    await utimes(join(b, 'sub/file'), WHEN, WHEN);
    const change = { what: 'bytes', a: '0x07 at offset 2400000', b: '0x08 at offset 2400000' };
    expect(await compareTrees(a, b)).toEqual([
      { path: 'sub/file', ...change },
      { path: 'sub/same', ...change },
    ]);
    await truncate(join(b, 'sub/file'), 1_048_576);
    const [first] = await compareTrees(a, b, { ignore: ['mtime'] });
    expect(first).toMatchObject({ path: 'sub/file', b: 'the end at offset 1048576' });
  });

  it('finds what is missing, what is extra, and another type', async () => {
    await rm(join(b, 'fifo'));
    await writeFile(join(b, 'sub/new'), '');
    await rm(join(b, 'sub/empty'), { recursive: true });
    await symlink('x', join(b, 'sub/empty'));
    expect(await compareTrees(a, b, { ignore })).toEqual([
      { path: 'fifo', what: 'missing' },
      { path: 'sub/empty', what: 'type', a: 'directory', b: 'symlink' },
      { path: 'sub/new', what: 'extra' },
    ]);
    expect(await compareTrees(b, a, { ignore })).toContainEqual({ path: 'fifo', what: 'extra' });
  });

  it('finds a mode, a time of one millisecond, a target and a broken hard link', async () => {
    await chmod(join(b, 'fifo'), 0o600);
    await utimes(join(b, 'sub/empty'), WHEN, new Date(WHEN.getTime() + 1));
    await rm(join(b, 'sub/link'));
    await symlink('../elsewhere', join(b, 'sub/link'));
    await lutimes(join(b, 'sub/link'), WHEN, WHEN);
    await rm(join(b, 'sub/same'));
    await writeFile(join(b, 'sub/same'), Buffer.alloc(2_500_000, 7));
    await utimes(join(b, 'sub/same'), WHEN, WHEN);
    await utimes(join(b, 'sub'), WHEN, WHEN);
    const found = await compareTrees(a, b);
    expect(found.map(({ path, what }) => `${what} ${path}`)).toEqual([
      'mode fifo',
      'directory-mtime sub/empty',
      'target sub/link',
      'hard-links sub/same',
    ]);
    const ignoring = await compareTrees(a, b, { ignore: ['mode', 'target', 'hard-links', 'directory-mtime'] });
    expect(ignoring).toEqual([]);
  });

  it('names what is not UTF-8 legibly', async () => {
    await rm(Buffer.concat([Buffer.from(`${b}/`), Buffer.from([0x66, 0xff])]));
    expect(await compareTrees(a, b, { ignore })).toEqual([{ path: 'f\\xff', what: 'missing' }]);
  });
});

describe('tempDir', () => {
  it('is gone afterwards, also when the use of it fails', async () => {
    let seen = '';
    const failing = withTempDir(async (path) => {
      seen = path;
      await mkdir(join(path, 'locked/inner'), { recursive: true });
      await chmod(join(path, 'locked'), 0o500);
      throw new Error('boom');
    });
    await expect(failing).rejects.toThrow('boom');
    expect(seen).not.toBe('');
    expect(existsSync(seen)).toBe(false);
    const directory = await tempDir();
    await directory.cleanup();
    await directory.cleanup();
    expect(existsSync(directory.path)).toBe(false);
  });
});
