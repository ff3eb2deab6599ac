import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, link, lstat, mkdir, open, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { BlockHash, isHole, type Piece } from '@foodsave-backup/kernel';
import { compareTrees } from '@foodsave-backup/testing';
import { mergedEntries } from './archive-entries.ts';
import { openRepository } from './opened.ts';
import { contentsOf } from './testing/contents.ts';
import { noise, World } from './testing/world.ts';
import type { Command, CreateResult, RestoreResult, VerifyResult } from './types.ts';

const CHILD = fileURLToPath(new URL('./testing/command-child.ts', import.meta.url));
const USER = 12_345;

interface Told {
  status: string;
  result: Record<string, never>;
  error?: { code: string; message: string; hint?: string };
  warnings: string[];
}

/** Carries out a command in a process of its own: as another user, or under strace. */
function elsewhere(base: string, command: Command, how: { uid?: number; strace?: string[] } = {}): Told {
  const node = [process.execPath, '--conditions=@foodsave-backup/source', CHILD, base, JSON.stringify(command)];
  const args = [...(how.strace ?? []), ...node, ...(how.uid === undefined ? [] : [String(how.uid)])];
  // strace counts the calls of each thread: with one thread in the pool it counts all.
  const env = { ...process.env, UV_THREADPOOL_SIZE: '1' };
  const run = spawnSync(args[0] ?? '', args.slice(1), { encoding: 'utf8', env, maxBuffer: 64 * 1024 * 1024 });
  if (run.error) throw new Error('strace is needed for this test (apt-get install strace)', { cause: run.error });
  if (run.status !== 0) throw new Error(run.stderr);
  return JSON.parse(run.stdout) as Told;
}

const create = (name: string): Command => ({ command: 'create', name, trigger: 'manual' });
const nlink = async (path: string): Promise<number> => (await lstat(path)).nlink;

describe('hard links', () => {
  const linked = async (): Promise<World> => {
    const world = await World.create();
    await world.write('data/files/one', noise('one', 300_000));
    await mkdir(world.join('data/files/other'));
    await link(world.join('data/files/one'), world.join('data/files/other/two'));
    await link(world.join('data/files/one'), world.join('outside'));
    return world;
  };

  it('within a component are stored once, and need the room of one', async () => {
    await using world = await linked();
    const { backup } = await world.create('a');
    const files = backup.components['files'];
    expect(files?.facts).toMatchObject({ hardLinked: 2 });
    expect(files?.sizeBytes).toBeGreaterThan(600_000);
    expect(files?.storedBytes).toBeLessThan(400_000);
    const repository = await openRepository(world.deps());
    const { components } = await repository.manifests.get('a');
    expect(components['files']?.roomBytes).toBe((files?.sizeBytes ?? 0) - 300_000);
    // Another backup reads nothing and tells the same.
    const again = await world.create('b');
    expect(again.backup.components['files']?.facts).toMatchObject({ hardLinked: 2 });
  });

  it('come back as names of one file; a name without the others is a file of its own', async () => {
    await using world = await linked();
    await world.create('a');
    await world.must({ command: 'restore', name: 'a', target: world.join('all') });
    expect(await compareTrees(world.join('data/files'), world.join('all/data/files'))).toMatchObject([
      { path: 'cache.tmp', what: 'missing' },
    ]);
    const [one, two] = [world.join('all/data/files/one'), world.join('all/data/files/other/two')];
    expect((await lstat(one)).ino).toBe((await lstat(two)).ino);
    expect(await nlink(one)).toBe(2);
    const paths = ['data/files/other/two'];
    await world.must({ command: 'restore', name: 'a', target: world.join('part'), paths });
    expect(await nlink(world.join('part/data/files/other/two'))).toBe(1);
    expect(await readFile(world.join('part/data/files/other/two'))).toEqual(noise('one', 300_000));
  });

  it('are made and parted again by a live restore, and its undo', async () => {
    await using world = await linked();
    const [one, two] = [world.join('data/files/one'), world.join('data/files/other/two')];
    await world.create('a');
    // One file becomes two with one content, and two files become one.
    await writeFile(world.join('copy'), await readFile(one));
    await rename(world.join('copy'), two);
    await rm(world.join('data/files/sub/deep/c.txt'));
    await link(world.join('data/files/a.txt'), world.join('data/files/sub/deep/c.txt'));
    await world.must({ command: 'restore', name: 'a' });
    expect((await lstat(one)).ino).toBe((await lstat(two)).ino);
    expect(await nlink(world.join('data/files/a.txt'))).toBe(1);
    expect(await readFile(world.join('data/files/sub/deep/c.txt'), 'utf8')).toBe('deep\n');
    await world.must({ command: 'undo' });
    expect((await lstat(one)).ino).not.toBe((await lstat(two)).ino);
    expect(await nlink(world.join('data/files/a.txt'))).toBe(2);
  });

  it('that were replaced in place by a backup of other contents do not take their neighbours along', async () => {
    await using world = await linked();
    await world.create('a');
    // The application writes through one name: both change, and both come back.
    await writeFile(world.join('data/files/one'), 'changed');
    await world.must({ command: 'restore', name: 'a', paths: ['data/files/one'] });
    expect(await readFile(world.join('data/files/one'))).toEqual(noise('one', 300_000));
    expect(await readFile(world.join('data/files/other/two'), 'utf8')).toBe('changed');
    expect(await readFile(world.join('outside'), 'utf8')).toBe('changed');
  });
});

describe('a sparse file of 100 GB with a megabyte of data', () => {
  const SIZE = 100_000_000_000;
  const AT = 50_000_000_000;
  const data = noise('sparse', 1_000_000);

  it('takes neither the room nor the time of 100 GB: backup, verify, restore, live restore, the next backup', async () => {
    await using world = await World.create();
    const path = world.join('data/files/disk.img');
    await writeFile(path, '');
    await truncate(path, SIZE);
    await using handle = await open(path, 'r+');
    await handle.write(data, 0, data.length, AT);
    const { backup } = await world.create('a');
    expect(backup.components['files']).toMatchObject({ facts: { sparse: 1 } });
    expect(backup.sizeBytes).toBeGreaterThan(SIZE);
    expect(backup.storedBytes).toBeLessThan(1_200_000);
    const verified = await world.must<VerifyResult>({ command: 'verify', name: 'a', level: 'full' });
    expect(verified).toMatchObject({ status: 'ok' });

    // There need not be 100 GB free.
    await world.must({ command: 'restore', name: 'a', target: world.join('target') });
    const restored = world.join('target/data/files/disk.img');
    expect(await lstat(restored)).toMatchObject({ size: SIZE });
    expect((await lstat(restored)).blocks * 512).toBeLessThan(1_200_000);
    await using back = await open(restored, 'r');
    const found = Buffer.alloc(data.length + 2);
    await back.read(found, 0, found.length, AT - 1);
    expect(found).toEqual(Buffer.concat([Buffer.of(0), data, Buffer.of(0)]));

    await handle.write(Buffer.from('x'), 0, 1, AT);
    const live = await world.must<RestoreResult>({ command: 'restore', name: 'a' });
    expect(live.plan?.['files']?.counts).toMatchObject({ replaced: 1 });
    expect((await lstat(path)).blocks * 512).toBeLessThan(1_200_000);
    const next = await world.create('b');
    expect(next.backup.storedBytes).toBeLessThan(100_000);
  });

  it('has the hash of all of its content', async () => {
    await using world = await World.create();
    const path = world.join('data/files/disk.img');
    await writeFile(path, data);
    await truncate(path, SIZE);
    await world.create('a');
    const { entry, pieces } = await contentsOf(world.deps(), 'a', 'data/files/disk.img');
    const hash = new BlockHash();
    hash.update(data);
    hash.zeros(SIZE - data.length);
    expect(entry).toMatchObject({ size: SIZE, blockSha256: hash.digest() });
    const bytes = (piece: Piece): number => (isHole(piece) ? piece.hole : piece.length);
    expect(pieces.reduce((sum, piece) => sum + bytes(piece), 0)).toBe(SIZE);
  });
});

it('of a file that is hashed by blocks, an export tells the SHA-256 of all of it', async () => {
  await using world = await World.create();
  await writeFile(world.join('data/files/disk.img'), 'begin');
  await truncate(world.join('data/files/disk.img'), 1_200_000_000);
  await world.create('a');
  const repository = await openRepository(world.deps());
  const source = repository.reader(await repository.loadIndex());
  const manifest = await repository.manifests.get('a');
  const hashes: unknown[] = [];
  for await (const { record } of mergedEntries(source, manifest, ['files'], ['data/files/disk.img']))
    hashes.push(record.sha256);
  const sum = execFileSync('sha256sum', [world.join('data/files/disk.img')]).toString();
  expect(hashes).toEqual([sum.slice(0, 64)]);
});

describe('what cannot be read', () => {
  it('because of its permissions is listed, and the rest is saved: exit code 3', async () => {
    await using world = await World.create();
    await world.write('data/files/secret', 'not for you');
    await world.write('data/files/closed/inside', 'x');
    await world.write('data/files/unlisted/inside', 'x');
    execFileSync('chown', ['-R', `${USER}:${USER}`, world.path]);
    execFileSync('chown', ['-R', '0:0', world.join('data/files/secret'), world.join('data/files/closed')]);
    await chmod(world.join('data/files/secret'), 0o600);
    await chmod(world.join('data/files/closed'), 0o700);
    await chmod(world.join('data/files/unlisted'), 0o311);
    const told = elsewhere(world.path, create('a'), { uid: USER });
    expect(told.warnings).toEqual([
      'UNREADABLE data/files/closed',
      'UNREADABLE data/files/secret',
      'UNREADABLE data/files/unlisted',
    ]);
    expect(told.status).toBe('partial');
    const { backup } = told.result as unknown as CreateResult;
    expect(backup).toMatchObject({ status: 'complete', components: { files: { facts: { unreadable: 3 } } } });
  });

  it('comes back as far as another user may write it, and what is not restored is noted', async () => {
    await using world = await World.create();
    await world.write('data/files/locked/inside', 'x');
    await chmod(world.join('data/files/locked/inside'), 0o400);
    await chmod(world.join('data/files/locked'), 0o555);
    execFileSync('setfattr', ['-n', 'user.note', '-v', 'mine', world.join('data/files/locked/inside')]);
    execFileSync('setfattr', ['-n', 'trusted.note', '-v', 'ours', world.join('data/files/a.txt')]);
    await world.create('a');
    execFileSync('chown', ['-R', `${USER}:${USER}`, world.path]);
    const target = world.join('target');
    const told = elsewhere(world.path, { command: 'restore', name: 'a', target }, { uid: USER });
    expect(told.error).toBeUndefined();
    const { components } = told.result as unknown as RestoreResult;
    expect(components['files']?.notes.join('\n')).toMatch(
      /trusted\.note could not be set on 1 file[^]*Owners were not/,
    );
    const differences = await compareTrees(world.join('data/files'), `${target}/data/files`, { ignore: ['owner'] });
    expect(differences).toMatchObject([{ path: 'cache.tmp', what: 'missing' }]);
    const got = execFileSync('getfattr', ['-d', '--absolute-names', `${target}/data/files/locked/inside`]);
    expect(got.toString()).toContain('user.note="mine"');
  });

  it.each([
    ['at its beginning', 'a.txt', 1],
    ['in the middle of a large file', 'large', 2],
  ])('because the disk reports an error %s is listed, and the rest is saved', async (_where, name, when) => {
    await using world = await World.create();
    await world.write('data/files/large', noise('large', 3_000_000));
    const path = world.join('data/files', name);
    const strace = [
      'strace',
      '-f',
      '-qq',
      '-o',
      '/dev/null',
      '-P',
      path,
      '-e',
      `inject=pread64:error=EIO:when=${when}+`,
    ];
    const told = elsewhere(world.path, create('a'), { strace });
    expect(told.warnings).toEqual([`UNREADABLE data/files/${name}`]);
    expect(told.status).toBe('partial');
    await world.must({ command: 'restore', name: 'a', target: world.join('target') });
    expect(await compareTrees(world.join('data/files'), world.join('target/data/files'))).toMatchObject([
      { path: name === 'a.txt' ? 'a.txt' : 'cache.tmp', what: 'missing' },
      { path: name === 'a.txt' ? 'cache.tmp' : 'large', what: 'missing' },
    ]);
  });

  it('once, because the disk has reported an error that has passed, is read again', async () => {
    await using world = await World.create();
    const path = world.join('data/files/sub/b.bin');
    const strace = ['strace', '-f', '-qq', '-o', '/dev/null', '-P', path, '-e', 'inject=pread64:error=EIO:when=1..2'];
    expect(elsewhere(world.path, create('a'), { strace })).toMatchObject({ status: 'succeeded', warnings: [] });
  });
});

describe('a live restore', () => {
  it('over an immutable file fails clearly and changes nothing', async () => {
    await using world = await World.create();
    await world.create('a');
    const path = world.join('data/files/sub/b.bin');
    await writeFile(world.join('data/files/a.txt'), 'changed too');
    await writeFile(path, 'changed');
    const before = execFileSync('find', [world.join('data'), '-type', 'f', '-printf', '%p %s %T@\n']).toString();
    execFileSync('chattr', ['+i', path]);
    try {
      const ended = await world.run({ command: 'restore', name: 'a', withoutSafety: true });
      expect(ended.status).toBe('failed');
      expect(ended.error).toMatchObject({ code: 'RESTORE_FAILED' });
      expect(ended.error?.hint).toMatch(/put back as it was.*immutable/s);
      const after = execFileSync('find', [world.join('data'), '-type', 'f', '-printf', '%p %s %T@\n']).toString();
      expect(after).toBe(before);
    } finally {
      execFileSync('chattr', ['-i', path]);
    }
    await world.must({ command: 'restore', name: 'a', withoutSafety: true });
    expect(await readFile(path)).toEqual(noise('b', 20_000));
  });

  it('does not give setuid, setgid and capabilities back, and says so', async () => {
    await using world = await World.create();
    const path = world.join('data/files/a.txt');
    await chmod(path, 0o6755);
    // cap_net_raw, as setcap writes it.
    execFileSync('setfattr', ['-n', 'security.capability', '-v', '0x0100000200200000000000000000000000000000', path]);
    await world.create('a');
    await writeFile(path, 'changed');
    const { components } = await world.must<RestoreResult>({ command: 'restore', name: 'a' });
    expect(components['files']?.notes.join('\n')).toMatch(/1 file had setuid[^]*1 file had file capabilities/);
    expect((await lstat(path)).mode & 0o7777).toBe(0o755);
    expect(execFileSync('getfattr', ['-d', '-m', '-', '--absolute-names', path]).toString()).toBe('');
  });

  it('follows no link, whatever stands in the place of a directory', async () => {
    await using world = await World.create();
    await world.create('a');
    await mkdir(world.join('elsewhere'));
    await rm(world.join('data/files/sub'), { recursive: true });
    await symlink(world.join('elsewhere'), world.join('data/files/sub'));
    await world.must({ command: 'restore', name: 'a' });
    expect((await lstat(world.join('data/files/sub'))).isDirectory()).toBe(true);
    expect(execFileSync('ls', ['-A', world.join('elsewhere')]).toString()).toBe('');
  });
});

describe('paths beyond what the system takes at once', () => {
  const NAME = 'n'.repeat(200);
  const DEPTH = 40;

  /** The directory at a depth below `root`, reached a step at a time. */
  async function deep(root: string, depth: number, make: boolean): Promise<AsyncDisposable & { path: string }> {
    let handle = await open(root, 'r');
    for (let level = 0; level < depth; level++) {
      const next = `/proc/self/fd/${handle.fd}/${NAME}`;
      if (make) await mkdir(next);
      const below = await open(next, 'r');
      await handle.close();
      handle = below;
    }
    return { path: `/proc/self/fd/${handle.fd}`, [Symbol.asyncDispose]: () => handle.close() };
  }

  it('are saved, verified and restored, also in place', async () => {
    await using world = await World.create();
    try {
      {
        await using bottom = await deep(world.join('data/files'), DEPTH, true);
        await writeFile(`${bottom.path}/treasure`, 'found');
      }
      const { backup } = await world.create('a');
      expect(backup.components['files']?.facts).toMatchObject({ unreadable: 0, vanished: 0 });
      await world.must({ command: 'verify', name: 'a', level: 'full' });
      await world.must({ command: 'restore', name: 'a', target: world.join('target') });
      await using restored = await deep(world.join('target/data/files'), DEPTH, false);
      expect(await readFile(`${restored.path}/treasure`, 'utf8')).toBe('found');
      {
        await using bottom = await deep(world.join('data/files'), DEPTH, false);
        await writeFile(`${bottom.path}/treasure`, 'lost');
      }
      await world.must({ command: 'restore', name: 'a' });
      await using live = await deep(world.join('data/files'), DEPTH, false);
      expect(await readFile(`${live.path}/treasure`, 'utf8')).toBe('found');
    } finally {
      // Node.js cannot remove such paths.
      execFileSync('rm', ['-rf', world.join('data'), world.join('target')]);
    }
  });
});
