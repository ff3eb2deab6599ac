import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { Engine, type EngineDeps } from '@foodsave-backup/engine';
import { tempDir, type TempDir } from '@foodsave-backup/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from './config/index.ts';
import { engineDeps } from './open-engine.ts';

let temp: TempDir;

beforeAll(async () => {
  temp = await tempDir();
});

afterAll(() => temp.cleanup());

/** A configuration over a directory of its own, with a file to back up. */
async function place(name: string): Promise<{ dir: string; deps: () => Promise<EngineDeps> }> {
  const dir = temp.join(name);
  await mkdir(`${dir}/data`, { recursive: true });
  await writeFile(`${dir}/data/a.txt`, 'hello\n');
  await writeFile(`${dir}/backup.yaml`, 'application: test\ncomponents:\n  files: { include: [./data] }\n');
  const deps = async (): Promise<EngineDeps> => {
    const config = await loadConfig({ configPath: `${dir}/backup.yaml`, env: {}, cwd: dir, warn: () => undefined });
    const recoveryFiles = async () => ({ 'RECOVERY.md': Buffer.from('# How to restore\n') });
    return { ...engineDeps(config, { env: {} }), recoveryFiles };
  };
  return { dir, deps };
}

const secretIn = async (dir: string): Promise<string> => (await readFile(`${dir}/state/backup.key`, 'utf8')).trim();
const context = {
  runId: 'run',
  signal: new AbortController().signal,
  emit: () => undefined,
  progress: () => undefined,
};

/** The process dies before or after the n-th step that changes the key file, or the keys of the repository. */
function dying(deps: EngineDeps, at: number, when: 'before' | 'after'): { deps: EngineDeps; steps: () => number } {
  let steps = 0;
  let dead = false;
  const step = async <T>(work: () => Promise<T>): Promise<T> => {
    if (dead) throw new Error('dead');
    steps++;
    if (steps === at && when === 'before') dead = true;
    if (dead) throw new Error('dead');
    const done = await work();
    if (steps === at) dead = true;
    if (dead) throw new Error('dead');
    return done;
  };
  const { rotation } = deps.keys;
  if (rotation === undefined) throw new Error('the key file is not generated');
  const { storage } = deps;
  const changesKeys = (key: string): boolean => key.startsWith('keys/');
  return {
    steps: () => steps,
    deps: {
      ...deps,
      storage: {
        capabilities: storage.capabilities,
        location: storage.location,
        put: (key, body, options) =>
          changesKeys(key) ? step(() => storage.put(key, body, options)) : storage.put(key, body, options),
        get: (key, range, options) => storage.get(key, range, options),
        stat: (key) => storage.stat(key),
        list: (prefix) => storage.list(prefix),
        keys: (prefix) => storage.keys(prefix),
        delete: (key) => (changesKeys(key) ? step(() => storage.delete(key)) : storage.delete(key)),
        close: () => storage.close(),
      },
      keys: {
        ...deps.keys,
        rotation: {
          location: rotation.location,
          next: () => step(() => rotation.next()),
          activate: () => step(() => rotation.activate()),
          retired: () => rotation.retired(),
          finish: () => step(() => rotation.finish()),
        },
      },
    },
  };
}

describe('key rotate', () => {
  it('puts a new secret into the key file, and the old one opens nothing any more', async () => {
    const { dir, deps } = await place('plain');
    const engine = new Engine(await deps());
    await engine.execute({ command: 'create', name: 'one', trigger: 'manual' }, context);
    const before = await secretIn(dir);
    const rotated = await engine.keys.rotate('after the audit');
    expect(rotated).toMatchObject({ key: { label: 'after the audit', opens: true }, resumed: false });
    expect(rotated.removed).toHaveLength(1);
    const after = await secretIn(dir);
    expect(after).toMatch(/^fsbk1-[a-z2-7]{52}$/);
    expect(after).not.toBe(before);
    expect(JSON.stringify(rotated)).not.toContain(after);
    expect((await readdir(`${dir}/state`)).filter((name) => name.startsWith('backup.key'))).toEqual(['backup.key']);
    expect(await readdir(`${dir}/backups/keys`)).toEqual([`${rotated.key.id}.json`]);
    expect((await engine.list()).total).toBe(1);
    await writeFile(`${dir}/state/backup.key`, before);
    await expect(engine.list()).rejects.toMatchObject({ code: 'WRONG_KEY' });
  });

  it('leaves a secret alone that the environment names', async () => {
    const { deps } = await place('named');
    const own = await deps();
    const engine = new Engine(own);
    await engine.execute({ command: 'create', name: 'one', trigger: 'manual' }, context);
    const { load, create } = own.keys;
    const refused = new Engine({ ...own, keys: { load, create } }).keys.rotate('x');
    await expect(refused).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('killed anywhere, leaves a key file that opens the repository, and the next one ends it', async () => {
    const { dir, deps } = await place('killed');
    await new Engine(await deps()).execute({ command: 'create', name: 'one', trigger: 'manual' }, context);
    const whole = dying(await deps(), 0, 'before');
    await new Engine(whole.deps).keys.rotate('whole');
    expect(whole.steps()).toBe(5);
    // Dying after a step is dying before the next one.
    for (let at = 1; at <= whole.steps() + 1; at++) {
      const last = at > whole.steps();
      const { deps: doomed } = dying(await deps(), last ? at - 1 : at, last ? 'after' : 'before');
      const before = await secretIn(dir);
      await expect(new Engine(doomed).keys.rotate('doomed'), `step ${at}`).rejects.toThrow('dead');
      // Only a dead process leaves its lease, and this one goes on.
      await rm(`${dir}/backups/locks`, { recursive: true, force: true });
      const engine = new Engine(await deps());
      expect((await engine.list()).total, `step ${at}`).toBe(1);
      const { key } = await engine.keys.rotate('next');
      expect(await secretIn(dir), `step ${at}`).not.toBe(before);
      expect(await readdir(`${dir}/backups/keys`), `step ${at}`).toEqual([`${key.id}.json`]);
      expect((await readdir(`${dir}/state`)).filter((name) => name.startsWith('backup.key'))).toEqual(['backup.key']);
    }
  }, 400_000);

  it.each(['rotation-new', 'rotation-old'])(
    'does not touch a file of someone else that is called .%s',
    async (suffix) => {
      const { dir, deps } = await place(`foreign-${suffix}`);
      const engine = new Engine(await deps());
      await engine.execute({ command: 'create', name: 'one', trigger: 'manual' }, context);
      const before = await secretIn(dir);
      const path = `${dir}/state/backup.key.${suffix}`;
      await writeFile(path, 'precious notes of mine\n');
      await expect(engine.keys.rotate('x')).rejects.toMatchObject({ code: 'IO_ERROR' });
      expect(await readFile(path, 'utf8')).toBe('precious notes of mine\n');
      expect(await readdir(`${dir}/backups/keys`)).toHaveLength(1);
      expect(await secretIn(dir)).toBe(before);
      expect((await engine.list()).total).toBe(1);
    },
  );
});
