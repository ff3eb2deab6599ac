import { existsSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openFsRestore } from '@foodsave-backup/component';
import { restoreRun } from '@foodsave-backup/component/conformance';
import { PortableDecoder } from '@foodsave-backup/repository';
import { MemoryStorage } from '@foodsave-backup/storage';
import { compareTrees } from '@foodsave-backup/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRepository } from './opened.ts';
import { restoreEntriesAhead } from './restore-entries.ts';
import { expectNoScratch } from './testing/oracle.ts';
import { flip, keysBelow } from './testing/storages.ts';
import { noise, treeOf, World } from './testing/world.ts';
import type { RestoreResult } from './types.ts';

/** One backup of everything; no test changes the live data or this repository. */
let world: World;
let whole: MemoryStorage;
beforeAll(async () => {
  whole = new MemoryStorage();
  world = await World.create({ kinds: ['database', 'files', 'config', 'vector_store'], storage: whole });
  for (let i = 0; i < 6; i++) await world.write(`data/files/many/${i}.bin`, noise(`many ${i}`, 700_000));
  await world.create('one');
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

const restore = (target: string, more: object = {}) =>
  ({ command: 'restore', name: 'one', target: world.join(target), ...more }) as const;

it('without the native functions, the same files are laid out', async () => {
  const repository = await openRepository(world.deps());
  const manifest = await repository.manifests.get('one');
  const directory = world.join('portable');
  for (const decoder of [new PortableDecoder(), undefined]) {
    const at = decoder === undefined ? world.join('native') : directory;
    const source = repository.reader(await repository.loadIndex(), decoder === undefined ? {} : { decoder });
    for (const component of Object.values(manifest.components)) {
      const run = restoreRun({ kind: 'target', directory: at }, { capturedAt: manifest.createdAt });
      const sink = await openFsRestore({ run, clock: world.deps().clock, baseDir: world.path, roots: [] });
      const damaged = (path: string): void => expect.unreachable(path);
      for await (const entry of restoreEntriesAhead(source, component, undefined, damaged)) await sink.write(entry);
      await sink.commit();
      await sink.close();
    }
  }
  const tree = await treeOf(directory);
  expect(Object.keys(tree).length).toBeGreaterThan(10);
  expect(tree).toEqual(await treeOf(world.join('native')));
  expect(await compareTrees(join(directory, 'data'), world.join('native/data'))).toEqual([]);
  const differences = await compareTrees(world.join('data/files'), join(directory, 'data/files'));
  expect(differences).toEqual([{ path: 'cache.tmp', what: 'missing' }]);
});

describe('a restore to a directory', () => {
  it('lays everything out as it lies beside the configuration file, with modes and times', async () => {
    const result = await world.must<RestoreResult>(restore('all'));
    expect(result).toMatchObject({ name: 'one', target: world.join('all'), dryRun: false, failed: [] });
    expect(Object.keys(result.components)).toEqual(['database:main', 'files', 'config', 'vector_store']);
    const differences = await compareTrees(world.join('data'), world.join('all/data'));
    const unlike = differences.filter((d) => !d.what.endsWith('mtime') && !d.path.startsWith('app.db'));
    expect(unlike).toEqual([{ path: 'files/cache.tmp', what: 'missing' }]);
    expect(existsSync(world.join('all/data/app.db-wal'))).toBe(false);
    expect(world.rows(world.join('all/data/app.db'))).toBe(world.rows());
    await expectNoScratch(world);
  });

  it.each([
    [['database'], ['app.db']],
    [
      ['database:main', 'config'],
      ['app.db', 'config'],
    ],
    [['vector_store'], ['vectors']],
  ])('of %j only', async (components, expected) => {
    const target = `only-${components.join('-').replace(':', '')}`;
    const result = await world.must<RestoreResult>(restore(target, { components }));
    expect((await readdir(world.join(target, 'data'))).sort()).toEqual(expected);
    expect(Object.keys(result.components)).toHaveLength(components.length);
  });

  it('of one file, or one directory with all below it', async () => {
    await world.must(restore('file', { paths: ['data/files/sub/b.bin'] }));
    expect(Object.keys(await treeOf(world.join('file')))).toEqual([
      'data',
      'data/files',
      'data/files/sub',
      'data/files/sub/b.bin',
    ]);
    await world.must(restore('directory', { paths: ['data/files/sub'] }));
    const found = await treeOf(world.join('directory/data/files/sub'));
    expect(found).toEqual(await treeOf(world.join('data/files/sub')));
    const two = await world.must<RestoreResult>(restore('two', { paths: ['data/app.db', 'data/files/link'] }));
    expect(two.failed).toEqual([]);
    expect(Object.keys(await treeOf(world.join('two')))).toEqual([
      'data',
      'data/app.db',
      'data/files',
      'data/files/link',
    ]);
  });

  it('writes nothing for a path that is not there', async () => {
    for (const path of ['data/files/nope', 'data/files/a.txt/x', '../etc/passwd', 'data/files/sub/b']) {
      const ended = await world.run(restore('nothing', { paths: ['data/app.db', path] }));
      expect(ended).toMatchObject({ status: 'failed', error: { code: 'PATH_NOT_FOUND' } });
      expect(existsSync(world.join('nothing'))).toBe(false);
    }
  });

  it('goes into a directory that is absent or empty, and refuses any other', async () => {
    await mkdir(world.join('empty'));
    await world.must(restore('empty', { components: ['config'] }));
    const again = await world.run(restore('empty', { components: ['config'] }));
    expect(again).toMatchObject({ status: 'failed', error: { code: 'TARGET_INVALID' } });
    expect(again.error?.hint).toContain('Nothing was written');
    await writeFile(world.join('plain-file'), 'x');
    expect(await world.run(restore('plain-file'))).toMatchObject({ error: { code: 'TARGET_INVALID' } });
    const relative = await world.run({ command: 'restore', name: 'one', target: 'relative/dir' });
    expect(relative).toMatchObject({ status: 'failed', error: { code: 'TARGET_INVALID' } });
  });

  it('as a dry run counts and writes nothing', async () => {
    const dry = await world.must<RestoreResult>(restore('dry', { dryRun: true }));
    expect(existsSync(world.join('dry'))).toBe(false);
    const real = await world.must<RestoreResult>(restore('dry'));
    const figures = (result: RestoreResult) =>
      Object.fromEntries(Object.entries(result.components).map(([k, { files, bytes }]) => [k, { files, bytes }]));
    expect(figures(dry)).toEqual(figures(real));
  });

  it('names what is not in the backup: components, and the backup itself', async () => {
    expect(await world.run(restore('x', { components: ['queue'] }))).toMatchObject({
      error: { code: 'COMPONENT_UNKNOWN' },
    });
    expect(await world.run({ ...restore('x'), name: 'two' })).toMatchObject({ error: { code: 'BACKUP_NOT_FOUND' } });
    expect(await world.run({ ...restore('x'), name: '../one' })).toMatchObject({ error: { code: 'NAME_INVALID' } });
  });

  it('works for a component that is no longer configured', async () => {
    const engine = world.another({ config: { components: [] } });
    await world.must(restore('unconfigured'), engine);
    expect(await treeOf(world.join('unconfigured/data/files'))).toMatchObject(
      await treeOf(world.join('data/files/sub')).then(() => ({ 'a.txt': 'hello\n' })),
    );
    expect(world.rows(world.join('unconfigured/data/app.db'))).toBe(world.rows());
    const live = await world.run({ command: 'restore', name: 'one' }, { engine });
    expect(live).toMatchObject({ status: 'failed', error: { code: 'COMPONENT_UNKNOWN' } });
  });

  it('that is cancelled ends as cancelled and keeps no lease', async () => {
    const ended = await world.run(restore('cancelled'), {
      during: (run, event) => {
        if (event.type === 'component.started' && event.component === 'files') run.cancel('enough');
      },
    });
    expect(ended.status).toBe('cancelled');
    expect(await keysBelow(whole, 'locks/')).toEqual([]);
  });
});

describe('a restore to a directory from a damaged repository', () => {
  it.each([
    ['flipped', 'files'],
    ['missing', 'files'],
    ['flipped', 'vector_store'],
    ['missing', 'vector_store'],
    ['flipped', 'database'],
    ['missing', 'config'],
  ] as const)('goes on file by file and lists what is lost (%s pack of %s)', async (how, folder) => {
    const disk = whole.clone();
    const [pack = ''] = await keysBelow(disk, `${folder}/`);
    if (how === 'missing') await disk.delete(pack);
    else await flip(disk, pack, folder === 'files' ? undefined : 150);
    const target = `damaged-${folder}-${how}`;
    const ended = await world.run(restore(target), { engine: world.another({ storage: disk }) });
    expect(ended.status, ended.error?.message).toBe('partial');
    const { failed, components } = ended.result as RestoreResult;
    expect(failed.length).toBeGreaterThan(0);
    for (const f of failed) expect(f.component).toBe(folder === 'database' ? 'database:main' : folder);
    expect(ended.events.filter((e) => e.type === 'warning' && e.code === 'DATA_DAMAGED').length).toBeGreaterThan(0);
    expect(Object.keys(components)).toEqual(['database:main', 'files', 'config', 'vector_store']);
    const restored = await treeOf(world.join(target, 'data'));
    const live = await treeOf(world.join('data'));
    const lost = new Set(failed.map((f) => f.path.replace(/^data\//, '')));
    expect('app.db' in restored).toBe(folder !== 'database');
    for (const [path, content] of Object.entries(live)) {
      if (path.startsWith('app.db') || path.endsWith('.tmp')) continue;
      // Never a file with wrong bytes: it is right, or it is listed and not there.
      expect(restored[path], path).toBe(lost.has(path) ? undefined : content);
    }
    if (folder === 'files' && how === 'flipped') expect(lost.size).toBeLessThan(6);
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 7])(
    'never stops at a damaged tree: what is good comes back (place %i)',
    async (place) => {
      const disk = whole.clone();
      const [pack = ''] = await keysBelow(disk, 'meta/');
      const size = (await disk.stat(pack))?.size ?? 0;
      await flip(disk, pack, Math.floor(((place + 0.5) / 8) * size));
      const ended = await world.run(restore(`tree-${place}`, { components: ['files', 'config'] }), {
        engine: world.another({ storage: disk }),
      });
      expect(['succeeded', 'partial']).toContain(ended.status);
      const { failed, components } = ended.result as RestoreResult;
      expect(failed.length > 0).toBe(ended.status === 'partial');
      expect(Object.keys(components)).toEqual(['files', 'config']);
      const restored = await treeOf(world.join(`tree-${place}/data`));
      for (const [path, content] of Object.entries(await treeOf(world.join('data')))) {
        if (path.startsWith('app.db') || path.startsWith('vectors') || path.endsWith('.tmp')) continue;
        const lost = failed.some(
          (f) => f.path === '/' || `data/${path}` === f.path || `data/${path}/`.startsWith(`${f.path}/`),
        );
        if (!lost) expect(restored[path], path).toBe(content);
      }
    },
  );
});
