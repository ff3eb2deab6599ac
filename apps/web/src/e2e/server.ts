import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const NODE = path.join(ROOT, 'node_modules/.bin/node');
const API = path.join(ROOT, 'apps/api/dist/main.js');
const PAGE = path.join(ROOT, 'apps/web/dist/index.html');
const SAMPLE = path.join(ROOT, 'examples/foodsave/src/sample/cli.ts');
const START_MS = 60_000;

export interface TestServer {
  url: string;
  /** Directory of the sample application. */
  app: string;
  api(method: string, route: string): Promise<unknown>;
  stop(): Promise<void>;
}

/** The built server with the built page, on a sample application of its own. */
export async function startServer(options: { databaseSize: string }): Promise<TestServer> {
  for (const file of [API, PAGE])
    if (!existsSync(file)) throw new Error(`${file} is missing: run "npm run build" first`);
  const directory = await mkdtemp(path.join(tmpdir(), 'foodsave-web-'));
  const app = path.join(directory, 'app');
  const generate = ['--conditions=@foodsave-backup/source', SAMPLE, app, '--database-size', options.databaseSize];
  await promisify(execFile)(NODE, generate, { timeout: START_MS });
  const url = `http://127.0.0.1:${await freePort()}`;
  const child = spawn(NODE, [API], {
    cwd: directory,
    env: { PATH: process.env['PATH'], PORT: new URL(url).port, BACKUP_CONFIG: path.join(app, 'backup.yaml') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', kill);
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => said.push(text.toString()));
  await waitFor(async () => {
    if (child.exitCode !== null) throw new Error(`The server ended: ${said.join('')}`);
    return (await fetch(`${url}/health/live`)).ok;
  }, START_MS);
  return {
    url,
    app,
    async api(method, route) {
      const response = await fetch(`${url}/api/v2/backup${route}`, { method });
      if (!response.ok) throw new Error(`${method} ${route}: ${response.status} ${await response.text()}`);
      return (await response.json()) as unknown;
    },
    async stop() {
      process.removeListener('exit', kill);
      await ended(child);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  child.kill('SIGTERM');
  await gone;
  clearTimeout(timer);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Asks again and again until it is so; errors count as "not yet" until the time is over. */
export async function waitFor(isSo: () => Promise<boolean>, timeoutMs: number): Promise<void> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    let problem: unknown;
    try {
      if (await isSo()) return;
    } catch (error) {
      problem = error;
    }
    if (Date.now() > until) throw new Error(`Not so within ${timeoutMs} ms`, { cause: problem });
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
