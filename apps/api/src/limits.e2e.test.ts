import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Run } from '@foodsave-backup/contracts';
import { loadConfig, openEngine } from '@foodsave-backup/runtime';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createServer } from './server.ts';

/** The limits of Node.js for whole requests and for headers, as the server under test would have them, and how often it looks. */
const REQUEST_MS = 1500;
const LOOK_MS = 20;
const DOWNLOAD_IDLE_MS = 200;

const CONFIG = `application: kitchen
components:
  files: { include: [./uploads] }
encryption: { enabled: false }
`;

let directory: string;
let app: NestExpressApplication;
let port: number;
/** Options of this process, which the process of an export would take over. */
const inherited = [...process.execArgv];

/** Node.js looks at its limits twice a minute: here it does so at once. */
async function withShortLimits<T>(make: () => Promise<T>): Promise<T> {
  const { createServer: original } = http;
  const short = { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS, connectionsCheckingInterval: LOOK_MS };
  const spy = vi
    .spyOn(http, 'createServer')
    .mockImplementation((listener) => original(short, listener as http.RequestListener));
  syncBuiltinESMExports();
  try {
    const made = await make();
    expect(spy).toHaveBeenCalledOnce();
    return made;
  } finally {
    spy.mockRestore();
    syncBuiltinESMExports();
  }
}

beforeAll(async () => {
  // It runs what was built: Node.js by itself cannot read the decorators in the sources.
  process.execArgv = [];
  directory = mkdtempSync(path.join(tmpdir(), 'foodsave-limits-'));
  mkdirSync(path.join(directory, 'uploads'));
  // More than all buffers of a connection hold, and nothing that could be compressed.
  writeFileSync(path.join(directory, 'uploads/large.bin'), randomBytes(12 << 20));
  writeFileSync(path.join(directory, 'backup.yaml'), CONFIG);
  const config = await loadConfig({ cwd: directory, env: {}, warn: () => undefined });
  const engine = openEngine(config);
  app = await withShortLimits(() =>
    createServer({
      config,
      source: { cwd: directory },
      logger: pino({ level: 'silent' }),
      execute: (run, context) => engine.execute(run.command, context),
      downloadIdleMs: DOWNLOAD_IDLE_MS,
    }),
  );
  await app.listen(0, '127.0.0.1');
  ({ port } = (app.getHttpServer() as { address(): AddressInfo }).address());
  const made = await fetch(api('/create?backup_name=first'), { method: 'POST' });
  expect(made.status).toBe(201);
});

afterAll(async () => {
  process.execArgv = inherited;
  await app.close();
  rmSync(directory, { recursive: true, force: true });
});

const api = (rest: string): string => `http://127.0.0.1:${port}/api/v2/backup${rest}`;

function dial(...lines: string[]): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  socket.write(lines.map((line) => `${line}\r\n`).join(''));
  return socket;
}

async function answerOn(socket: Socket): Promise<string> {
  let text = '';
  for await (const piece of socket) {
    text += String(piece);
    if (text.includes('\r\n\r\n')) break;
  }
  return text;
}

it('an upload may take longer than other servers allow, and is answered', async () => {
  const socket = dial(
    'POST /api/v2/backup/import HTTP/1.1',
    `Host: 127.0.0.1:${port}`,
    'Content-Type: application/zip',
    'Content-Length: 13',
    '',
    'hello',
  );
  await setTimeout(REQUEST_MS * 2);
  socket.write('hello\n');
  const answer = await answerOn(socket);
  expect(answer).toMatch(/^HTTP\/1\.1 422 /);
  expect(answer).not.toContain('408');
});

it('headers that do not end are not waited for', async () => {
  const socket = dial('GET /api/v2/backup/list HTTP/1.1', `Host: 127.0.0.1:${port}`);
  expect(await answerOn(socket)).toMatch(/^HTTP\/1\.1 408 /);
});

it('a download whose client takes nothing ends, and its run with it', async () => {
  const socket = dial('GET /api/v2/backup/backups/first/download HTTP/1.1', `Host: 127.0.0.1:${port}`, '');
  await once(socket, 'readable');
  expect(String(socket.read())).toMatch(/^HTTP\/1\.1 200 /);
  const { items } = (await (await fetch(api('/runs'))).json()) as { items: Run[] };
  const run = items.find(({ command }) => command === 'export');
  const status = async (): Promise<string> => ((await (await fetch(api(`/runs/${run?.id}`))).json()) as Run).status;
  await expect.poll(status, { timeout: 30_000, interval: 50 }).toBe('cancelled');
  let last: Buffer = Buffer.alloc(0);
  socket.on('data', (piece: Buffer) => (last = piece));
  await once(socket, 'close');
  expect(last.subarray(-5).toString()).not.toBe('0\r\n\r\n');
});
