import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { makeSample, SAMPLE_COMPONENTS } from './data.ts';
import { bytesBelow, dropCaches, measure } from './measure.ts';
import type { Options, Sample } from './workloads.ts';

/** Backups that the list shows before the measurement. */
const BACKUPS = 20;
/** Requests between two looks at the run; they count only when it ran before and after them. */
const BATCH = 20;
/** Fewer say nothing about one in a hundred. */
const REQUESTS_MIN = 200;
const START_MS = 60_000;

interface Run {
  id: string;
  status: string;
  progress?: { doneBytes: number };
}

/** The server as it is shipped, in a process of its own. */
class Server {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #api: string;
  readonly #closed: Promise<unknown>;

  private constructor(child: ChildProcessWithoutNullStreams, port: number) {
    this.#child = child;
    this.#closed = once(child, 'close');
    this.#api = `http://127.0.0.1:${port}/api/v2/backup`;
  }

  static async start(root: string, directory: string): Promise<Server> {
    const port = await freePort();
    const env = { ...process.env, PORT: String(port), LOG_LEVEL: 'warn', BACKUP_EXIT_WITH_STDIN: '1' };
    const main = join(root, 'apps', 'api', 'dist', 'main.js');
    const child = spawn(process.execPath, [main], { cwd: directory, env, stdio: 'pipe' });
    child.stdout.resume();
    child.stderr.pipe(process.stderr);
    const server = new Server(child, port);
    const late = Date.now() + START_MS;
    for (;;) {
      if (child.exitCode !== null || Date.now() > late) throw new Error('The server did not start');
      if (await server.#answers()) return server;
      await wait(100);
    }
  }

  async #answers(): Promise<boolean> {
    try {
      return (await fetch(`${this.#api}/list`)).ok;
    } catch {
      return false;
    }
  }

  async json<T>(path: string, init?: RequestInit): Promise<T> {
    const response = await fetch(`${this.#api}${path}`, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text.slice(0, 500)}`);
    return JSON.parse(text) as T;
  }

  /** How long so many requests took, one after the other, each in ms to the last byte. */
  async list(count: number): Promise<number[]> {
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      const started = performance.now();
      const { items } = await this.json<{ items: unknown[] }>('/list');
      times.push(performance.now() - started);
      if (items.length < BACKUPS) throw new Error(`The list has ${items.length} backups`);
    }
    return times;
  }

  async stop(): Promise<void> {
    this.#child.stdin.end();
    await this.#closed;
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** `part` of 1: the value that this part of all is not above. */
function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
}

/** Asks for the list again and again from the moment a new backup reads data to its end. */
async function listDuringBackup(server: Server, name: string): Promise<number[]> {
  const { id } = await server.json<Run>(`/create?wait=false&verify=true&backup_name=${name}`, { method: 'POST' });
  const look = (): Promise<Run> => server.json<Run>(`/runs/${id}`);
  let run = await look();
  while (['queued', 'running'].includes(run.status) && (run.progress?.doneBytes ?? 0) === 0) {
    await wait(20);
    run = await look();
  }
  const times: number[] = [];
  for (;;) {
    const batch = await server.list(BATCH);
    run = await look();
    if (run.status !== 'running') break;
    times.push(...batch);
  }
  if (run.status !== 'succeeded') throw new Error(`The backup ended as ${run.status}`);
  if (times.length < REQUESTS_MIN) {
    throw new Error(`Only ${times.length} requests were answered while the backup ran: it was too short, use --scale`);
  }
  return times;
}

/** What the server takes for `GET /list` while it makes a backup of everything, and while it does nothing. */
export async function serverWorkload(options: Options, round: number): Promise<Sample[]> {
  const source = join(options.scratch, 'server');
  rmSync(source, { recursive: true, force: true });
  mkdirSync(source, { recursive: true });
  makeSample(source, 0.5 * options.scale);
  writeFileSync(join(source, 'backup.yaml'), `application: bench\n${SAMPLE_COMPONENTS}`);
  const program = join(options.root, 'bin', 'foodsave-backup');
  for (let i = 0; i < BACKUPS; i++) {
    const args = ['--quiet', 'create', '--components', 'config', '--name', `before-${i}`];
    await measure({ argv: [program, ...args], cwd: source });
  }
  if (options.cold) dropCaches();
  const server = await Server.start(options.root, source);
  const samples: Sample[] = [];
  const add = (when: string, times: readonly number[]): void => {
    const sorted = [...times].sort((a, b) => a - b);
    const values = { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: quantile(sorted, 1) };
    for (const [which, ms] of Object.entries(values)) {
      samples.push({ figure: `GET /list ${when}, ${which}`, tool: 'foodsave-backup', value: ms / 1000, unit: 's' });
    }
    const said = Object.entries(values).map(([which, ms]) => `${which} ${ms.toFixed(1)} ms`);
    options.progress(`server: GET /list ${when}: ${times.length} requests, ${said.join(', ')}`);
  };
  try {
    add('while nothing runs', await server.list(500));
    add('while a backup runs', await listDuringBackup(server, `round-${round}`));
  } finally {
    await server.stop();
  }
  options.progress(`server: the backup was of ${(bytesBelow(join(source, 'data')) / 1e6).toFixed(0)} MB`);
  rmSync(source, { recursive: true, force: true });
  return samples;
}
