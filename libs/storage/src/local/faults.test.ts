import { execFileSync, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SerializedError } from '@foodsave-backup/kernel';
import { createLocalStorage } from '../index.ts';

const STORAGE = JSON.stringify(new URL('../index.ts', import.meta.url).href);

interface Traced {
  /** System calls that concern the storage, in the order in which they began: `fsync d`, `rename d/.tmp d/x`. */
  calls: string[];
  /** What the operation resolved to or failed with. */
  outcome: { value?: unknown; error?: SerializedError } | undefined;
  killed: boolean;
}

/** Every temporary name as `.tmp`; the root as `root`, its parent as `made`, and that one's as `top`. */
function legible(root: string, line: string): string | undefined {
  const call = /^\d+ +(\w+)\((.*)$/.exec(line);
  if (!call?.[1] || call[2] === undefined) return undefined;
  const top = dirname(dirname(root));
  const paths = [...call[2].matchAll(/[<"](\/[^>"]*)[>"]/g)]
    .map(([, path]) => path ?? '')
    .filter((path) => `${path}/`.startsWith(`${top}/`))
    .map((path) => path.replace(root, 'root').replace(dirname(root), 'made').replace(top, 'top'))
    .map((path) => path.replace(/\.tmp-[0-9a-f-]+/, '.tmp'));
  if (paths.length === 0) return undefined;
  const name = call[1].replace(/^(\w+?)(at2?|64)$/, '$1');
  return [name === 'open' ? 'create' : name, ...new Set(paths)].join(' ');
}

/** Runs `operation` (an expression over `storage` and `body`) under strace. Without strace this fails, as it must. */
async function trace(root: string, log: string, operation: string, inject: string[] = []): Promise<Traced> {
  const script = `import { createLocalStorage } from ${STORAGE};
    const storage = createLocalStorage(${JSON.stringify(root)});
    const body = Buffer.alloc(100_000, 7);
    const failed = (e) => ({ error: e.toJSON() });
    console.log(JSON.stringify(await (async () => ({ value: await (${operation}) }))().catch(failed)));`;
  const calls =
    'openat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat';
  const faults = inject.flatMap((rule) => ['-e', `inject=${rule}`]);
  const node = [process.execPath, '--conditions=@foodsave-backup/source', '--input-type=module', '-e', script];
  // strace counts `when` for each thread: with one thread in the pool it counts all.
  const env = { ...process.env, UV_THREADPOOL_SIZE: '1' };
  const strace = ['-f', '-y', '-o', log, '-e', `trace=${calls}`, ...faults];
  const run = spawnSync('strace', [...strace, ...node], { encoding: 'utf8', env });
  if (run.error) throw new Error('strace is needed for this test (apt-get install strace)', { cause: run.error });
  const killed = run.status !== 0;
  if (killed && inject.length === 0) throw new Error(run.stderr);
  const lines = (await readFile(log, 'utf8'))
    .split('\n')
    .filter((line) => !line.includes('openat(') || line.includes('O_CREAT'));
  return {
    calls: lines.map((line) => legible(root, line)).filter((call) => call !== undefined),
    outcome: killed ? undefined : (JSON.parse(run.stdout) as NonNullable<Traced['outcome']>),
    killed,
  };
}

describe('system calls of local storage', () => {
  let parent: string;
  let root: string;
  let log: string;
  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'faults-'));
    root = join(parent, 'made', 'root');
    log = join(parent, 'strace.log');
  });
  afterEach(() => rm(parent, { recursive: true, force: true }));

  const prepared = async (): Promise<void> => {
    await createLocalStorage(root).put('d/old', Buffer.from('old'));
  };
  const after = (calls: string[], call: string): string[] => calls.slice(calls.indexOf(call));

  it('put: directories synced, then write, fsync, rename, fsync of the directory', async () => {
    const { calls, outcome } = await trace(root, log, `storage.put('d/x', body)`);
    expect(outcome).toEqual({ value: true });
    // Each new directory's name is synced before anything is written below it.
    expect(calls.slice(0, calls.indexOf('create root/d/.tmp'))).toEqual([
      'mkdir root',
      'mkdir made',
      'fsync top',
      'mkdir root',
      'fsync made',
      'mkdir root/d',
      'fsync root',
    ]);
    expect(after(calls, 'create root/d/.tmp')).toEqual([
      'create root/d/.tmp',
      'pwrite root/d/.tmp',
      'fsync root/d/.tmp',
      'rename root/d/.tmp root/d/x',
      'fsync root/d',
    ]);
  });

  it('put with ifAbsent: write, fsync, link, unlink of the temporary name, fsync of the directory', async () => {
    await prepared();
    const { calls, outcome } = await trace(root, log, `storage.put('d/x', body, { ifAbsent: true })`);
    expect(outcome).toEqual({ value: true });
    expect(after(calls, 'create root/d/.tmp')).toEqual([
      'create root/d/.tmp',
      'pwrite root/d/.tmp',
      'fsync root/d/.tmp',
      'link root/d/.tmp root/d/x',
      'unlink root/d/.tmp',
      'fsync root/d',
    ]);
  });

  it('put with ifAbsent of what is there: writes nothing, but syncs its name', async () => {
    await prepared();
    const { calls, outcome } = await trace(root, log, `storage.put('d/old', body, { ifAbsent: true })`);
    expect(outcome).toEqual({ value: false });
    expect(calls.filter((call) => !call.startsWith('mkdir'))).toEqual(['fsync made', 'fsync root', 'fsync root/d']);
  });

  it('delete: unlink, fsync of the directory', async () => {
    await prepared();
    const { calls, outcome } = await trace(root, log, `storage.delete('d/old')`);
    expect(outcome).toEqual({});
    expect(calls).toEqual(['unlink root/d/old', 'fsync root/d']);
  });

  // The third fsync is the file's, after those of the parents of the root and of d; the fourth is of d itself.
  it('delete of many at once: a few syncs of the directory, each after the names it stands for', async () => {
    await prepared();
    for (let i = 0; i < 20; i++) await createLocalStorage(root).put(`d/many-${i}`, Buffer.from('x'));
    const all = `Promise.all(Array.from({ length: 20 }, (_, i) => storage.delete('d/many-' + i)))`;
    const { calls } = await trace(root, log, all);
    const own = calls.filter((call) => call.startsWith('unlink') || call.startsWith('fsync'));
    expect(own.filter((call) => call.startsWith('unlink'))).toHaveLength(20);
    expect(own.filter((call) => call.startsWith('fsync')).length).toBeLessThan(20);
    expect(own.at(-1)).toMatch(/^fsync/);
  });

  it('never tries a failed fsync of the file again, and leaves no part of it', async () => {
    await prepared();
    const { calls, outcome } = await trace(root, log, `storage.put('d/x', body)`, ['fsync:error=EIO:when=3']);
    expect(outcome?.error).toMatchObject({ code: 'IO_ERROR', details: { transient: false } });
    expect(after(calls, 'create root/d/.tmp').slice(1)).toEqual([
      'pwrite root/d/.tmp',
      'fsync root/d/.tmp',
      'unlink root/d/.tmp',
    ]);
    expect(await readdir(join(root, 'd'))).toEqual(['old']);
  });

  it('writes no more to a directory whose fsync failed', async () => {
    await prepared();
    const twice = `storage.put('d/x', body).catch((e) => { if (e.code !== 'IO_ERROR') throw e; return storage.put('d/y', body); })`;
    const { calls, outcome } = await trace(root, log, twice, ['fsync:error=EIO:when=4']);
    expect(outcome?.error).toMatchObject({ code: 'IO_ERROR' });
    expect(outcome?.error?.message).toContain('could not be synced');
    expect(calls.filter((call) => call === 'fsync root/d')).toHaveLength(1);
    expect(calls.filter((call) => call.startsWith('create'))).toHaveLength(1);
  });

  it.each([
    ['ENOSPC', 'fsync:error=ENOSPC:when=3', 'NO_SPACE'],
    ['EDQUOT', 'fsync:error=EDQUOT:when=3', 'NO_SPACE'],
    ['ESTALE of a file server', 'rename:error=ESTALE', 'IO_ERROR'],
    ['EROFS', 'rename:error=EROFS', 'REPOSITORY_NOT_WRITABLE'],
    ['EIO', 'rename:error=EIO', 'IO_ERROR'],
    ['EPERM of a file system without links', 'link:error=EPERM', 'REPOSITORY_NOT_WRITABLE'],
  ])('reports %s and leaves only what was there', async (name, rule, code) => {
    await prepared();
    const ifAbsent = String(rule.startsWith('link'));
    const { outcome } = await trace(root, log, `storage.put('d/x', body, { ifAbsent: ${ifAbsent} })`, [rule]);
    expect(outcome?.error?.code).toBe(code);
    expect(outcome?.error?.hint).toBeTruthy();
    // Only of a fault that may pass, a retry makes sense; a sync is not tried again in any case.
    expect(outcome?.error?.details?.['transient'] ?? false).toBe(name.startsWith('ESTALE'));
    expect(await readdir(join(root, 'd'))).toEqual(['old']);
  });

  it.each([
    ['put', `storage.put('d/old', body)`, ['mkdir', 'fsync', 'rename']],
    ['put with ifAbsent', `storage.put('d/new', body, { ifAbsent: true })`, ['mkdir', 'fsync', 'link', 'unlink']],
  ])(
    'leaves the old object or the new one, whole, when it is killed in any system call of %s',
    async (_n, operation, names) => {
      await prepared();
      const key = operation.includes('d/new') ? 'd/new' : 'd/old';
      let kills = 0;
      for (const name of names) {
        for (let when = 1; ; when++) {
          await createLocalStorage(root).delete('d/new');
          await createLocalStorage(root).put('d/old', Buffer.from('old'));
          const { killed } = await trace(root, log, operation, [`${name}:signal=SIGKILL:when=${when}`]);
          if (!killed) break;
          kills++;
          const survivor = createLocalStorage(root);
          const size = (await survivor.stat(key))?.size;
          expect([key === 'd/new' ? undefined : 3, 100_000]).toContain(size);
          if (size === 100_000) expect(Buffer.alloc(100_000, 7).equals(await survivor.get(key))).toBe(true);
          await survivor.put('d/probe', Buffer.from('x'));
          await survivor.delete('d/probe');
          const names = (await readdir(join(root, 'd'))).sort();
          expect(names).toEqual(key === 'd/new' && size !== undefined ? ['new', 'old'] : ['old']);
        }
      }
      expect(kills).toBeGreaterThanOrEqual(6);
    },
  );
});

describe('a medium without room', () => {
  let mountPoint: string;
  beforeEach(async () => {
    mountPoint = await mkdtemp(join(tmpdir(), 'full-'));
  });
  afterEach(() => rm(mountPoint, { recursive: true, force: true }));

  it('is NO_SPACE; what was there stays readable, and room can be made', async () => {
    // A mount namespace of its own: nothing stays mounted, whatever happens to the test.
    const script = `import { createLocalStorage, localFreeBytes } from ${STORAGE};
      import { readdirSync } from 'node:fs';
      const root = ${JSON.stringify(join(mountPoint, 'small'))};
      const storage = createLocalStorage(root);
      await storage.put('d/first', Buffer.alloc(600_000, 1));
      const codes = [];
      for (const ifAbsent of [false, true])
        await storage.put('d/second', Buffer.alloc(600_000, 2), { ifAbsent }).catch((e) => codes.push(e.code));
      const left = readdirSync(root + '/d');
      const free = await localFreeBytes(root);
      const first = (await storage.get('d/first')).length;
      await storage.delete('d/first');
      const stored = await storage.put('d/second', Buffer.alloc(600_000, 2));
      console.log(JSON.stringify({ codes, left, roomFor: free < 600_000, first, stored }));`;
    const printed = inOwnMounts(`mount -t tmpfs -o size=1m tmpfs "$1" && mkdir "$1/small"`, mountPoint, script);
    expect(JSON.parse(printed)).toEqual({
      codes: ['NO_SPACE', 'NO_SPACE'],
      left: ['first'],
      roomFor: true,
      first: 600_000,
      stored: true,
    });
  });

  it('is NO_SPACE too when the inodes are used up', async () => {
    const script = `import { createLocalStorage } from ${STORAGE};
      const storage = createLocalStorage(${JSON.stringify(mountPoint)});
      let stored = 0;
      const failure = await (async () => { for (; stored < 100; stored++) await storage.put('n' + stored, Buffer.from('x')); })().catch((e) => e);
      let listed = 0;
      for await (const _ of storage.list('')) listed++;
      console.log(JSON.stringify({ code: failure?.code, same: listed === stored && stored > 0 }));`;
    const printed = inOwnMounts(`mount -t tmpfs -o size=1m,nr_inodes=12 tmpfs "$1"`, mountPoint, script);
    expect(JSON.parse(printed)).toEqual({ code: 'NO_SPACE', same: true });
  });

  it('is "Backup directory not writable" when it is mounted read-only, and can still be read', async () => {
    const root = join(mountPoint, 'ro');
    await mkdir(root);
    await createLocalStorage(root).put('d/x', Buffer.from('kept'));
    const script = `import { createLocalStorage } from ${STORAGE};
      const storage = createLocalStorage(${JSON.stringify(root)});
      const failures = [];
      for (const act of [() => storage.put('d/y', Buffer.from('x')), () => storage.put('e/y', Buffer.from('x')), () => storage.delete('d/x')])
        await act().catch((e) => failures.push(e.code + ' ' + e.message.split(':')[0]));
      console.log(JSON.stringify({ failures, read: Buffer.from(await storage.get('d/x')).toString() }));`;
    const printed = inOwnMounts(`mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"`, root, script);
    expect(JSON.parse(printed)).toEqual({
      failures: new Array(3).fill('REPOSITORY_NOT_WRITABLE Backup directory not writable'),
      read: 'kept',
    });
  });
});

/** Runs `script` where `mounts` (shell, `$1` is the directory) holds for it alone; as an ordinary user in a user namespace. */
function inOwnMounts(mounts: string, directory: string, script: string): string {
  const flags = process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--map-root-user'];
  const shell = `${mounts} && shift && exec "$@"`;
  const node = [process.execPath, '--conditions=@foodsave-backup/source', '--input-type=module', '-e', script];
  return execFileSync('unshare', [...flags, 'sh', '-c', shell, 'sh', directory, ...node], { encoding: 'utf8' });
}
