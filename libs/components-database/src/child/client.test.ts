import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '@foodsave-backup/kernel';
import { dumpRun, Sandbox } from '../testing/fixtures.ts';
import { SqliteChild } from './client.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await Sandbox.create();
  const database = new Database(sandbox.database);
  database.exec('CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(100000))');
  database.close();
});
afterEach(async () => {
  await sandbox.remove();
});

async function isGone(pid: number): Promise<void> {
  // A zombie that nobody has waited for yet is gone too.
  while (existsSync(`/proc/${String(pid)}`)) {
    if (/^State:\s+Z/m.test(await readFile(`/proc/${String(pid)}/status`, 'utf8').catch(() => 'State: Z'))) return;
    await systemClock.sleep(10);
  }
}

it('turns a crash of the child into an error of every open and later call', async () => {
  await sandbox.writer('hold', 'BEGIN EXCLUSIVE').line('ready');
  const child = new SqliteChild({ binding: 'sqlite3', scratchDir: sandbox.scratchDir });
  const waiting = child.call('probe', { path: sandbox.database, busyTimeoutMs: 60_000 });
  process.kill(child.pid ?? -1, 'SIGKILL');
  const crashed = { code: 'COMPONENT_FAILED', message: expect.stringContaining('SIGKILL') as string };
  await expect(waiting).rejects.toMatchObject(crashed);
  await expect(child.call('hash', { path: sandbox.database })).rejects.toMatchObject(crashed);
  child.close();
});

it('ends the child and the call when the run is cancelled, and leaves no copy', async () => {
  await sandbox.writer('hold', 'BEGIN EXCLUSIVE').line('ready');
  const controller = new AbortController();
  const component = sandbox.component('sqlite3', { busyTimeoutMs: 60_000 });
  const opening = component.openDump(dumpRun([], { signal: controller.signal }));
  opening.catch(() => undefined);
  while ((await readdir(sandbox.scratchDir)).length === 0) await systemClock.sleep(5);
  controller.abort();
  await expect(opening).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(await readdir(sandbox.scratchDir)).toEqual([]);
  await expect(component.openDump(dumpRun([], { signal: controller.signal }))).rejects.toMatchObject({
    code: 'CANCELLED',
  });
});

it('keeps the copy private, and removes it and the child with the dump', async () => {
  const dump = await sandbox.component().openDump(dumpRun());
  const [directory = ''] = await readdir(sandbox.scratchDir);
  const mode = async (path: string): Promise<number> => (await stat(join(sandbox.scratchDir, path))).mode & 0o777;
  expect(await mode(directory)).toBe(0o700);
  expect(await mode(join(directory, 'snapshot.db'))).toBe(0o600);
  await dump.close();
  await dump.close();
  expect(await readdir(sandbox.scratchDir)).toEqual([]);
});

it('does not outlive a parent that is killed', async () => {
  const script = join(sandbox.root, 'parent.ts');
  const client = new URL('./client.ts', import.meta.url).href;
  await writeFile(
    script,
    `import { SqliteChild } from ${JSON.stringify(client)};
     const child = new SqliteChild({ binding: 'sqlite3', scratchDir: ${JSON.stringify(sandbox.scratchDir)} });
     await child.call('probe', { path: ${JSON.stringify(sandbox.database)}, busyTimeoutMs: 1000 });
     console.log(child.pid);`,
  );
  const parent = spawn(process.execPath, ['--conditions=@foodsave-backup/source', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(output.toString('utf8'));
  expect(existsSync(`/proc/${String(pid)}`)).toBe(true);
  const exited = once(parent, 'exit');
  parent.kill('SIGKILL');
  await exited;
  await isGone(pid);
});
