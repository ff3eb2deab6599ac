import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Run } from '@foodsave-backup/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { curl, freePort, ServerProcess } from './testing/server.ts';

const SAMPLE = fileURLToPath(new URL('../../../tools/scripts/sample.mjs', import.meta.url));
const MINUTES = 120_000;

let directory: string;
let port: number;
let server: ServerProcess;
let name: string;

const api = (rest: string): string => `http://127.0.0.1:${port}/api/v2/backup${rest}`;
const json = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>;

async function saved(rest: string, file: string): Promise<Headers> {
  const response = await fetch(api(rest));
  expect(response.status).toBe(200);
  writeFileSync(path.join(directory, file), Buffer.from(await response.arrayBuffer()));
  return response.headers;
}

const upload = (file: string, rest = '/import', type = 'application/zip'): ReturnType<typeof curl> =>
  curl('-H', `content-type: ${type}`, '--data-binary', `@${path.join(directory, file)}`, api(rest));

const LARGE = 'data/uploads/large.bin';
/** Gets the archive begun, and takes no more of it. */
async function stalled(): Promise<{ socket: Socket; run: string }> {
  const socket = connect(port, '127.0.0.1');
  socket.write(`GET /api/v2/backup/backups/${name}/download HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  await once(socket, 'readable');
  const { items } = (await (await fetch(api('/runs'))).json()) as { items: Run[] };
  const run = items.find(({ command, status }) => command === 'export' && status === 'running');
  return { socket, run: run?.id ?? 'none' };
}

async function ended(run: string): Promise<string> {
  for (;;) {
    const { status } = (await (await fetch(api(`/runs/${run}`))).json()) as Run;
    if (status !== 'running' && status !== 'queued') return status;
    await setTimeout(50);
  }
}

beforeAll(async () => {
  directory = path.join(realpathSync(mkdtempSync(path.join(tmpdir(), 'foodsave-archives-'))), 'demo');
  execFileSync(process.execPath, [SAMPLE, directory, '--scale', '0.2'], { stdio: 'pipe' });
  // More than all buffers of a connection hold, and nothing that could be compressed.
  writeFileSync(path.join(directory, LARGE), randomBytes(12 << 20));
  port = await freePort();
  server = new ServerProcess(directory, { PORT: String(port) });
  await server.says('create succeeded');
  const { items } = (await (await fetch(api('/list'))).json()) as { items: { name: string }[] };
  name = items[0]?.name ?? '';
}, MINUTES);

afterAll(async () => {
  await server.stop();
  rmSync(path.dirname(directory), { recursive: true, force: true });
}, MINUTES);

describe('a download', () => {
  it.each([
    ['zip', 'application/zip', ['unzip', '-tq']],
    ['tar.gz', 'application/gzip', ['tar', 'tzf']],
  ])('as %s is whole, and saved under its name', async (format, type, [tool = '', option = '']) => {
    const headers = await saved(`/backups/${name}/download?format=${format}`, `all.${format}`);
    expect(headers.get('content-type')).toBe(type);
    expect(headers.get('content-disposition')).toContain(`attachment; filename="${name}.${format}"`);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    execFileSync(tool, [option, path.join(directory, `all.${format}`)], { stdio: 'pipe' });
  });

  it('of one file is that file; of a component, that component', async () => {
    const headers = await saved(`/backups/${name}/download?format=file&path=data/config/app.yaml`, 'one');
    expect(readFileSync(path.join(directory, 'one'))).toEqual(
      readFileSync(path.join(directory, 'data/config/app.yaml')),
    );
    expect(headers.get('content-type')).toBe('application/octet-stream');
    await saved(`/backups/${name}/download?format=zip&components=database`, 'database.zip');
    const listed = execFileSync('unzip', ['-Z1', path.join(directory, 'database.zip')], { encoding: 'utf8' });
    expect(listed).toContain('data/foodsave.db');
    expect(listed).not.toContain('data/config');
  });

  it.each([
    ['a backup that is not there', '/backups/nope/download', 404, 'BACKUP_NOT_FOUND'],
    ['a path that is not there', `/backups/NAME/download?path=data/nope`, 404, 'PATH_NOT_FOUND'],
    ['a directory as a file', `/backups/NAME/download?format=file&path=data`, 404, 'PATH_NOT_FOUND'],
    ['a path that climbs', `/backups/NAME/download?path=../etc`, 400, 'VALIDATION_FAILED'],
    ['another format', `/backups/NAME/download?format=rar`, 400, 'VALIDATION_FAILED'],
  ])('of %s is refused in words', async (_what, address, status, code) => {
    const answer = await curl(api(address.replace('NAME', name)));
    expect([answer.status, json(answer.body)['code']]).toEqual([status, code]);
  });
});

describe('a download that nobody takes', () => {
  it('can be cancelled, and does not end as a whole archive', async () => {
    const { socket, run } = await stalled();
    await fetch(api(`/runs/${run}`), { method: 'DELETE' });
    expect(await ended(run)).toBe('cancelled');
    let last: Uint8Array = new Uint8Array();
    socket.on('error', () => undefined).on('data', (piece: Buffer) => (last = piece));
    await once(socket, 'close');
    expect(Buffer.from(last.subarray(-5)).toString()).not.toBe('0\r\n\r\n');
  });

  it('ends with its client', async () => {
    const { socket, run } = await stalled();
    socket.destroy();
    expect(await ended(run)).toBe('cancelled');
  });
});

describe('an import', () => {
  it('of what was downloaded makes a backup of it', async () => {
    const dry = await upload('all.zip', '/import?dry_run=true');
    expect([dry.status, json(dry.body)['name']]).toEqual([200, name]);
    const answer = await upload('all.zip', '/import?name=imported');
    expect(answer.status).toBe(201);
    expect(json(answer.body)).toMatchObject({ name: 'imported', backup: { trigger: 'import', status: 'complete' } });
    const tar = await upload('all.tar.gz', '/import?name=from_tar&wait=false', 'application/gzip');
    expect([tar.status, json(tar.body)['command']]).toEqual([202, 'import']);
    const taken = await upload('all.zip');
    expect([taken.status, json(taken.body)['code']]).toEqual([409, 'NAME_TAKEN']);
  });

  it.each<[string, string[], number, string]>([
    ['what is no archive', ['-H', 'content-type: application/zip', '--data-binary', 'hello'], 422, 'ARCHIVE_INVALID'],
    ['another type', ['-H', 'content-type: text/plain', '--data-binary', 'hello'], 400, 'VALIDATION_FAILED'],
    ['a form', ['-F', 'file=hello'], 400, 'VALIDATION_FAILED'],
    [
      'another site',
      ['-H', 'Origin: http://evil.example', '-H', 'content-type: application/zip', '--data-binary', 'hello'],
      403,
      'ORIGIN_NOT_ALLOWED',
    ],
  ])('of %s is refused', async (_what, args, status, code) => {
    const answer = await curl(...args, api('/import'));
    expect([answer.status, json(answer.body)['code']]).toEqual([status, code]);
  });

  it('leaves nothing in the scratch directory', async () => {
    const { items } = (await (await fetch(api('/runs'))).json()) as { items: Run[] };
    for (const { id, command } of items) if (command === 'import') await ended(id);
    await expect.poll(() => readdirSync(path.join(directory, 'state/scratch')), { timeout: 20_000 }).toEqual([]);
  });
});

/** Last: it damages the repository. */
it(
  'a download of damaged data never ends as a whole archive',
  async () => {
    for (const folder of ['database', 'files', 'config', 'vector_store']) {
      for (const pack of readdirSync(path.join(directory, 'backups', folder))) {
        const file = path.join(directory, 'backups', folder, pack);
        const bytes = readFileSync(file);
        for (let at = 100; at < bytes.length - 400; at += 1000) bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
        writeFileSync(file, bytes);
      }
    }
    for (const format of ['zip', 'tar.gz']) {
      const whole = fetch(api(`/backups/${name}/download?format=${format}`)).then(async (response) => {
        if (response.status !== 200) throw new Error('refused in words');
        await response.arrayBuffer();
      });
      await expect(whole, format).rejects.toThrow();
    }
  },
  MINUTES,
);
