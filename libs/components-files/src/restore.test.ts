import { chmod, lstat, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fsPath, type Component, type ComponentContext } from '@foodsave-backup/component';
import { capture, restoreInto, restoreRun, snapshotTree, type Captured } from '@foodsave-backup/component/conformance';
import { systemClock } from '@foodsave-backup/kernel';
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
const put = async (path: string, text = path): Promise<void> => {
  await mkdir(join(base, path, '..'), { recursive: true });
  await writeFile(join(base, path), text);
};

describe('restore in place', () => {
  const setUp = async (): Promise<{ component: Component; captured: Captured }> => {
    for (const path of ['data/a', 'data/sub/b', 'data/sub/c', 'data/same']) await put(path);
    await symlink('a', join(base, 'data/link'));
    await chmod(join(base, 'data/a'), 0o640);
    await utimes(join(base, 'data/a'), 1_700_000_000.123456, 1_700_000_000.123456);
    const component = open({ include: ['data'], exclude: ['*.keep'] });
    return { component, captured: await capture(component) };
  };

  it('brings content, modes, times and links back, deletes extras and spares what is excluded', async () => {
    const { component, captured } = await setUp();
    const before = await snapshotTree(base);
    await put('data/a', 'changed');
    await put('data/x.keep', 'mine');
    await put('data/new/extra', 'extra');
    await put('data/new2/y.keep', 'mine');
    await rm(join(base, 'data/sub'), { recursive: true });
    await put('data/sub', 'a file where a directory was');
    await rm(join(base, 'data/link'));
    await mkdir(join(base, 'data/link/deep'), { recursive: true });
    const { plan, notes } = await restoreInto(component, captured, restoreRun({ kind: 'live' }, captured.facts));
    expect(plan).toEqual({
      added: ['data/sub/b', 'data/sub/c'],
      replaced: ['data/a', 'data/link', 'data/sub'],
      deleted: ['data/link/deep', 'data/new', 'data/new/extra', 'data/new2'],
      counts: { added: 2, replaced: 3, deleted: 4, unchanged: 2 },
      bytes: 'data/a'.length + 2 * 'data/sub/b'.length,
    });
    const after = await snapshotTree(base);
    expect(after.delete('data/x.keep') && after.delete('data/new2') && after.delete('data/new2/y.keep')).toBe(true);
    expect(after).toEqual(before);
    expect(Math.abs((await lstat(join(base, 'data/a'))).mtimeMs - 1_700_000_000_123.456)).toBeLessThan(0.002);
    expect(notes.join(' ')).toMatch(/1 extra directory was kept/);
  });

  it('changes nothing in a dry run', async () => {
    const { component, captured } = await setUp();
    await put('data/a', 'changed');
    const before = await snapshotTree(base);
    const { plan } = await restoreInto(
      component,
      captured,
      restoreRun({ kind: 'live' }, captured.facts, { dryRun: true }),
    );
    expect(plan).toMatchObject({ replaced: ['data/a'], counts: { replaced: 1, added: 0, deleted: 0 } });
    expect(await snapshotTree(base)).toEqual(before);
  });

  it('restores only the paths that were asked for', async () => {
    const { component, captured } = await setUp();
    await put('data/a', 'changed');
    await put('data/sub/b', 'changed');
    await put('data/sub/extra', 'x');
    await put('data/extra', 'x');
    await restoreInto(component, captured, restoreRun({ kind: 'live' }, captured.facts, { paths: ['data/sub'] }));
    expect(await readFile(join(base, 'data/a'), 'utf8')).toBe('changed');
    expect(await readFile(join(base, 'data/sub/b'), 'utf8')).toBe('data/sub/b');
    expect([...(await snapshotTree(join(base, 'data'))).keys()].sort()).toEqual([
      'a',
      'extra',
      'link',
      'same',
      'sub',
      'sub/b',
      'sub/c',
    ]);
  });

  it('deletes nothing when the backup is incomplete, or does not know the include path', async () => {
    const { component, captured } = await setUp();
    await put('data/extra', 'x');
    const { notes } = await restoreInto(
      component,
      captured,
      restoreRun({ kind: 'live' }, { ...captured.facts, incomplete: true }),
    );
    expect(notes.join(' ')).toMatch(/no extra files are deleted/);
    expect(await readFile(join(base, 'data/extra'), 'utf8')).toBe('x');
    await put('docs/later', 'x');
    const grown = open({ include: ['data', 'docs'] });
    const second = await restoreInto(grown, captured, restoreRun({ kind: 'live' }, captured.facts));
    expect(second.notes.join(' ')).toMatch(/"docs" is not in the backup/);
    expect(await readFile(join(base, 'docs/later'), 'utf8')).toBe('x');
    expect((await snapshotTree(base)).has('data/extra')).toBe(false);
  });

  it('brings back an include path that is gone altogether', async () => {
    const { component, captured } = await setUp();
    const before = await snapshotTree(base);
    await rm(join(base, 'data'), { recursive: true });
    await restoreInto(component, captured, restoreRun({ kind: 'live' }, captured.facts));
    expect(await snapshotTree(base)).toEqual(before);
  });

  it('refuses entries that the component does not own, and never writes through a link', async () => {
    const { component, captured } = await setUp();
    const outside = await temporary();
    const sink = await component.openRestore(restoreRun({ kind: 'live' }, captured.facts));
    const [first] = captured.entries.filter((entry) => entry.kind === 'file');
    if (!first) throw new Error('no file was captured');
    const meta = first.meta;
    const content = async function* (): AsyncIterable<Uint8Array> {
      yield await Promise.resolve(Buffer.from('evil'));
    };
    await symlink(outside, join(base, 'data/trap'));
    for (const path of ['../evil', 'other/evil', `_outside${outside}/evil`, '/etc/evil', '_environment/x']) {
      await expect(sink.write({ path, kind: 'file', meta, size: 4, content })).rejects.toMatchObject({
        name: 'BackupError',
      });
    }
    await sink.write({ path: 'data/trap/evil', kind: 'file', meta, size: 4, content });
    await expect(sink.commit()).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    await sink.close();
    expect(await snapshotTree(outside)).toEqual(new Map());
    expect((await lstat(fsPath(join(base, 'data/trap')))).isSymbolicLink()).toBe(true);
  });
});
