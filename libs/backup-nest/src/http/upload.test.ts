import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer, request as httpRequest, type ClientRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { toBackupError } from '@foodsave-backup/kernel';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { HttpRequest } from './messages.ts';
import { receivedArchive, type ReceivedArchive, type UploadLimits } from './upload.ts';

const HOUR = 3_600_000;
let stateDir: string;
let server: Server;
/** What became of the one upload of a test: what was received, or the code of the error. */
let outcome: Promise<ReceivedArchive | string>;

function serve(limits?: UploadLimits): void {
  const { promise, resolve } = Promise.withResolvers<ReceivedArchive | string>();
  outcome = promise;
  server.on('request', (request, response) => {
    receivedArchive(request as HttpRequest, stateDir, limits)
      .then(resolve, (error: unknown) => {
        resolve(toBackupError(error).code);
      })
      .finally(() => response.end('answered'));
  });
}

/** Without a length: the body comes in pieces. */
function send(headers: Record<string, string> = {}): ClientRequest {
  const { port } = server.address() as AddressInfo;
  return httpRequest({ port, host: '127.0.0.1', method: 'POST', agent: false, headers });
}

beforeEach(async () => {
  stateDir = mkdtempSync(path.join(tmpdir(), 'foodsave-upload-'));
  server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(stateDir, { recursive: true, force: true });
});

const scratch = (): string[] => readdirSync(path.join(stateDir, 'scratch'));

it('is kept, private, until it is released', async () => {
  serve();
  const sent = send();
  sent.write('first, ');
  sent.end('second');
  const { file, release } = (await outcome) as ReceivedArchive;
  expect(readFileSync(file, 'utf8')).toBe('first, second');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(path.dirname(file)).mode & 0o777).toBe(0o700);
  await release();
  expect(scratch()).toEqual([]);
});

it.each([
  ['declared', { 'content-length': '9' }],
  ['in pieces', {}],
])('%s, for which there is no room, is refused in words', async (_how, headers) => {
  serve({ reserveBytes: Number.MAX_SAFE_INTEGER, idleMs: HOUR });
  const sent = send(headers);
  const answered = once(sent, 'response');
  sent.write('something');
  expect(await outcome).toBe('NO_SPACE');
  await answered;
  sent.destroy();
  expect(scratch()).toEqual([]);
});

it('whose client goes away leaves nothing', async () => {
  serve();
  const sent = send().on('error', () => undefined);
  sent.write('half');
  await once(server, 'request');
  sent.destroy();
  expect(await outcome).toBe('IO_ERROR');
  expect(scratch()).toEqual([]);
});

it('that stops coming is given up', async () => {
  serve({ reserveBytes: 0, idleMs: 20 });
  const sent = send().on('error', () => undefined);
  sent.write('half');
  expect(await outcome).toBe('IO_ERROR');
  expect(scratch()).toEqual([]);
});
