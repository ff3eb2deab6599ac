import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, statfs, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLocalStorage, localFreeBytes } from '../index.ts';
import type { LocalStorage } from '../index.ts';

const BODY = Buffer.from('body');

describe('local storage', () => {
  let parent: string;
  let root: string;
  let storage: LocalStorage;
  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'local-'));
    root = join(parent, 'a', 'b', 'backups');
    storage = createLocalStorage(root);
  });
  afterEach(() => rm(parent, { recursive: true, force: true }));

  const keys = async (prefix: string): Promise<string[]> => {
    const found: string[] = [];
    for await (const { key } of storage.list(prefix)) found.push(key);
    return found.sort();
  };

  it('makes its root with the first put and not before', async () => {
    expect(await keys('')).toEqual([]);
    expect(await storage.stat('x')).toBeUndefined();
    await storage.delete('x');
    expect(await readdir(parent)).toEqual([]);
    await storage.put('index/x', BODY);
    expect(await keys('index/')).toEqual(['index/x']);
  });

  it('lets nobody else read: files 0600, directories 0700', async () => {
    await storage.put('index/x', BODY);
    await storage.put('index/y', BODY, { ifAbsent: true });
    const mode = async (path: string): Promise<string> => ((await stat(join(root, path))).mode & 0o777).toString(8);
    expect([await mode(''), await mode('index'), await mode('index/x'), await mode('index/y')]).toEqual([
      '700',
      '700',
      '600',
      '600',
    ]);
  });

  it('takes nothing for an object but files that a key can name', async () => {
    await storage.put('d/object', BODY);
    const at = (name: string): string => join(root, 'd', name);
    await mkdir(at('folder'));
    await symlink('object', at('link'));
    execFileSync('mkfifo', [at('fifo')]);
    await writeFile(at('with space'), 'foreign');
    await writeFile(at('.tmp-0123456789ab-1-0123456789abcdef'), 'unfinished');
    expect(await keys('d/')).toEqual(['d/object']);
    for (const name of ['folder', 'link', 'fifo']) {
      expect(await storage.stat(`d/${name}`)).toBeUndefined();
      await expect(storage.get(`d/${name}`)).rejects.toMatchObject({ details: { notFound: true } });
    }
    await storage.delete('d/folder');
    expect(await readdir(at('folder'))).toEqual([]);
  });

  it('removes temporary files of dead processes and of yesterday, and no others', async () => {
    await storage.put('d/one', BODY);
    const script = `import { TemporaryFiles } from ${JSON.stringify(new URL('./temporary.ts', import.meta.url).href)};
      console.log(await new TemporaryFiles({ now: () => 0 }).newName());`;
    const args = ['--conditions=@foodsave-backup/source', '--input-type=module', '-e', script];
    const dead = execFileSync(process.execPath, args, { encoding: 'utf8' }).trim();
    expect(dead).toMatch(/^\.tmp-/);
    const alive = dead.replace(/-\d+-/, `-${process.pid}-`);
    const elsewhere = dead.replace(/^\.tmp-.{12}/, '.tmp-0123456789ab');
    const elsewhereOld = `${elsewhere.slice(0, -4)}ffff`;
    const unknown = '.tmp-somebody-else';
    for (const name of [dead, alive, elsewhere, elsewhereOld, unknown]) await writeFile(join(root, 'd', name), 'part');
    const old = (Date.now() - 25 * 3_600_000) / 1000;
    for (const name of [elsewhereOld, unknown]) await utimes(join(root, 'd', name), old, old);
    await createLocalStorage(root).put('d/two', BODY);
    expect((await readdir(join(root, 'd'))).sort()).toEqual([alive, elsewhere, unknown, 'one', 'two'].sort());
  });

  it('makes its directory again when somebody removed it', async () => {
    await storage.put('d/one', BODY);
    await rm(root, { recursive: true });
    await storage.put('d/two', BODY);
    await rm(join(root, 'd'), { recursive: true });
    expect(await storage.put('d/three', BODY, { ifAbsent: true })).toBe(true);
    expect(await keys('d/')).toEqual(['d/three']);
  });

  it('fails clearly where a file is in the way of a folder, or a folder in that of a file', async () => {
    await storage.put('file', BODY);
    await storage.put('folder/x', BODY);
    await expect(storage.put('file/x', BODY)).rejects.toMatchObject({ code: 'IO_ERROR' });
    await expect(storage.put('folder', BODY)).rejects.toMatchObject({ code: 'IO_ERROR' });
    expect((await readdir(root)).sort()).toEqual(['file', 'folder']);
  });

  it('leaves nothing behind when it is cancelled in the middle', async () => {
    await storage.put('d/x', BODY);
    const controller = new AbortController();
    const put = storage.put('d/y', new Uint8Array(20_000_000), { signal: controller.signal });
    controller.abort();
    await expect(put).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await readdir(join(root, 'd'))).toEqual(['x']);
  });

  it('refuses an empty path', () => {
    expect(() => createLocalStorage('')).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });

  it('tells the free bytes, also before the root exists', async () => {
    const { bsize, blocks } = await statfs(parent);
    for (const path of [parent, root]) {
      const free = await localFreeBytes(path);
      expect(free).toBeGreaterThan(0);
      expect(free).toBeLessThanOrEqual(bsize * blocks);
    }
  });

  it('says "Backup directory not writable" and what to do, to a user who may not write', async () => {
    await storage.put('d/x', BODY);
    for (const path of [parent, join(parent, 'a'), join(parent, 'a/b')]) await chmod(path, 0o755);
    await chmod(join(root, 'd'), 0o555);
    await chmod(join(root, 'd/x'), 0o444);
    await chmod(root, 0o555);
    const report = asOrdinaryUser(`
      const { createLocalStorage } = await import(${JSON.stringify(new URL('../index.ts', import.meta.url).href)});
      const storage = createLocalStorage(${JSON.stringify(root)});
      const failures = [];
      for (const act of [
        () => storage.put('d/y', Buffer.from('x')),
        () => storage.put('d/y', Buffer.from('x'), { ifAbsent: true }),
        () => storage.put('new/y', Buffer.from('x')),
        () => storage.delete('d/x'),
      ]) await act().then(() => failures.push('no failure'), (e) => failures.push(e.toJSON()));
      console.log(JSON.stringify({ failures, read: Buffer.from(await storage.get('d/x')).toString() }));
    `);
    const { failures, read } = JSON.parse(report) as {
      failures: { code: string; message: string; hint: string }[];
      read: string;
    };
    expect(read).toBe('body');
    expect(failures).toHaveLength(4);
    for (const { code, message, hint } of failures) {
      expect(code).toBe('REPOSITORY_NOT_WRITABLE');
      expect(message.startsWith(`Backup directory not writable: ${root} (`)).toBe(true);
      expect(hint).toContain(`ls -la ${root}`);
      expect(hint).toContain('chown');
    }
    expect(await readdir(join(root, 'd'))).toEqual(['x']);
  });
});

/** Runs a module; as `nobody` where this process is root, for whom no mode bit holds. Resolves to what it prints. */
function asOrdinaryUser(script: string): string {
  const args = ['--conditions=@foodsave-backup/source', '--input-type=module', '-e', script];
  const root = process.getuid?.() === 0;
  const run = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    cwd: '/',
    ...(root ? { uid: 65534, gid: 65534 } : {}),
  });
  if (run.status !== 0) throw new Error(run.stderr);
  return run.stdout;
}
