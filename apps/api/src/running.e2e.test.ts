import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { getPriority, tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { freePort, ServerProcess } from './testing/server.ts';

// Reading the data takes an hour, so that a run ends when it is cancelled and not before.
const BYTES = 3_600_000;
const CONFIG = `application: busy
repository: { path: ./backups }
components:
  config: { include: [./config] }
  files: { include: [./uploads] }
limits: { read: 1 kB, threads: 3 }
`;
const REQUESTS = 40;

interface Run {
  id: string;
  status: string;
  progress?: { doneBytes: number };
}

let directory: string;
let server: ServerProcess;
let api: (rest: string) => string;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'foodsave-running-'));
  for (const name of ['config', 'uploads']) await mkdir(path.join(directory, name));
  await writeFile(path.join(directory, 'config/app.json'), '{}\n');
  await writeFile(path.join(directory, 'uploads/large.bin'), Buffer.alloc(BYTES, 1));
  await writeFile(path.join(directory, 'backup.yaml'), CONFIG);
  const port = await freePort();
  server = new ServerProcess(directory, { PORT: String(port) });
  api = (rest) => `http://127.0.0.1:${port}/api/v2/backup${rest}`;
  // The first backup of all begins by itself.
  await server.says('create started');
  const reading = async (): Promise<void> => {
    expect((await runs())[0]?.progress?.doneBytes).toBeGreaterThan(0);
  };
  await vi.waitFor(reading, { timeout: 60_000, interval: 100 });
}, 120_000);

afterAll(async () => {
  server.child.stdin.end();
  const killer = setTimeout(() => server.child.kill('SIGKILL'), 30_000);
  await server.ended;
  clearTimeout(killer);
  await rm(directory, { recursive: true, force: true });
}, 120_000);

async function json<T>(url: string, init?: RequestInit): Promise<T> {
  return (await (await fetch(url, init)).json()) as T;
}

const runs = async (): Promise<Run[]> => (await json<{ items: Run[] }>(api('/runs'))).items;

/** Values of the threads of a process: nice is field 19 of proc(5) stat. */
function niceOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).map((id) => {
    const stat = readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
  });
}

function childrenOf(pid: number): number[] {
  const ids = readdirSync(`/proc/${pid}/task`);
  return ids.flatMap((id) =>
    readFileSync(`/proc/${pid}/task/${id}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
}

describe('while a backup runs', () => {
  it('the list answers each time', async () => {
    for (let asked = 0; asked < REQUESTS; asked++) {
      const response = await fetch(api('/list'));
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ items: [], total: 0 });
    }
    expect(await runs()).toMatchObject([{ status: 'running' }]);
  });

  it('its process lets the others go first, in every thread, and has threads for files beside those for data', async () => {
    const [child, ...others] = childrenOf(server.child.pid ?? 0);
    expect(others).toEqual([]);
    const pid = child ?? 0;
    expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toContain('run-child');
    expect(readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')).toContain('UV_THREADPOOL_SIZE=5');
    expect(new Set(niceOf(pid))).toEqual(new Set([Math.max(10, getPriority())]));
    expect(niceOf(pid).length).toBeGreaterThanOrEqual(5);
    expect(new Set(niceOf(server.child.pid ?? 0))).toEqual(new Set([getPriority()]));
  });

  it('cancelling it is answered, though an hour of its data is left', async () => {
    const [run] = await runs();
    const answer = await fetch(api(`/runs/${run?.id}`), { method: 'DELETE' });
    expect(answer.status).toBeLessThan(300);
    await expect.poll(async () => (await runs())[0]?.status, { timeout: 30_000 }).toBe('cancelled');
    await expect.poll(() => childrenOf(server.child.pid ?? 0), { timeout: 30_000 }).toEqual([]);
    expect(await json(api('/list'))).toMatchObject({ total: 0 });
  });
});
