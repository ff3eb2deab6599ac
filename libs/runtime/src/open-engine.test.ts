import { execFileSync } from 'node:child_process';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { newId, systemClock } from '@foodsave-backup/kernel';
import { tempDir, type TempDir } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
import { forkedExecute, loadConfig, openEngine, Run, RunManager, type ResolvedConfig } from './index.ts';
import { engineDeps } from './open-engine.ts';
import { recoveryFiles } from './recovery-files.ts';

const YAML = `application: shop
repository: { path: ./backups }
components:
  files: { include: [./data] }
retention: { daily: 3, weekly: 2, monthly: 1 }
`;

async function configured(temp: TempDir, env: Record<string, string> = {}, yaml = YAML): Promise<ResolvedConfig> {
  await mkdir(temp.join('data'), { recursive: true });
  await writeFile(temp.join('data/a.txt'), 'hello\n');
  await writeFile(temp.join('backup.yaml'), yaml);
  return loadConfig({ configPath: temp.join('backup.yaml'), env, cwd: temp.path, warn: () => undefined });
}

describe('the engine that a configuration makes', () => {
  it('has its components with their usual drivers, its retention and its places', async () => {
    await using temp = await tempDir();
    const { config, directory, storage } = engineDeps(await configured(temp));
    expect(config).toMatchObject({
      application: 'shop',
      baseDir: temp.path,
      stateDir: temp.join('state'),
      retention: { daily: 3, weekly: 2, monthly: 1 },
      components: [{ instance: 'files:main', type: 'files', driver: 'directory' }],
      encryption: true,
      checksums: true,
    });
    expect(config.software).toMatch(/^foodsave-backup \d+\.\d+\.\d+/);
    expect([directory, storage.location]).toEqual([temp.join('backups'), temp.join('backups')]);
  });

  it('takes a backup, with a new key file, that recover.mjs in the repository reads alone', async () => {
    await using temp = await tempDir();
    const config = await configured(temp);
    const engine = openEngine(config);
    const run = new Run(newId(systemClock), { command: 'create', name: 'one', trigger: 'manual' }, systemClock);
    await run.execute((context) => engine.execute(run.command, context));
    expect((await run.finished).status).toBe('succeeded');
    expect((await stat(config.keyFile)).mode & 0o777).toBe(0o600);
    for (const [name, bytes] of Object.entries(await recoveryFiles())) {
      expect(Buffer.compare(await readFile(temp.join('backups', name)), bytes), name).toBe(0);
    }
    const args = [temp.join('backups/recover.mjs'), 'restore', 'one', temp.join('out'), '--key-file', config.keyFile];
    execFileSync(process.execPath, args, { stdio: 'pipe' });
    expect(await readFile(temp.join('out/data/a.txt'), 'utf8')).toBe('hello\n');
    await engine.close();
  });

  it('knows how much space is left, also before the directory exists', async () => {
    await using temp = await tempDir();
    const { freeBytes } = engineDeps(await configured(temp));
    expect(await freeBytes()).toBeGreaterThan(0);
  });
});

describe('recovery files', () => {
  it('are the program and its words, and the program names its commands', async () => {
    const files = await recoveryFiles();
    expect(Object.keys(files).sort()).toEqual(['RECOVERY.md', 'recover.mjs']);
    for (const word of ['list', 'verify', 'restore'])
      expect(Buffer.from(files['recover.mjs'] ?? []).toString()).toContain(word);
    expect(Buffer.from(files['RECOVERY.md'] ?? []).toString()).toContain('recover.mjs');
  });
});

describe('a run in a process of its own', () => {
  it('whose process cannot do its work fails, and the host lives on', async () => {
    await using temp = await tempDir();
    const execute = forkedExecute({ source: { configPath: temp.join('absent.yaml'), cwd: temp.path }, threads: 1 });
    const manager = new RunManager(systemClock, execute);
    const view = await manager.submit({ command: 'cleanup' }, { actor: 'test' }).finished;
    expect(view.status).toBe('failed');
    expect(view.error?.message).toBeTruthy();
    await manager.close();
  });
});
