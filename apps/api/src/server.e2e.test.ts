import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { curl, freePort, logLines, ServerProcess } from './testing/server.ts';

const SAMPLE = fileURLToPath(new URL('../../../tools/scripts/sample.mjs', import.meta.url));
const WEB = fileURLToPath(new URL('../../web/dist/index.html', import.meta.url));
const MINUTES = 120_000;

let directory: string;
let port: number;
let server: ServerProcess;

function sample(name: string): string {
  const made = path.join(realpathSync(mkdtempSync(path.join(tmpdir(), `foodsave-${name}-`))), 'demo');
  execFileSync(process.execPath, [SAMPLE, made, '--scale', '0.2'], { stdio: 'pipe' });
  return made;
}

const json = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>;
const api = (rest: string): string => `http://localhost:${port}/api/v2/backup${rest}`;

beforeAll(async () => {
  directory = sample('api');
  port = await freePort();
  server = new ServerProcess(directory, { PORT: String(port) });
  await server.says('create succeeded');
}, MINUTES);

afterAll(async () => {
  server.child.stdin.end();
  const killer = setTimeout(() => server.child.kill('SIGKILL'), 30_000);
  await server.ended;
  clearTimeout(killer);
  rmSync(path.dirname(directory), { recursive: true, force: true });
}, MINUTES);

describe('a first start', () => {
  it('says where everything is and what to try next', () => {
    expect(server.out).toContain(`http://127.0.0.1:${port}/backup`);
    expect(server.out).toContain(`curl -X POST "http://127.0.0.1:${port}/api/v2/backup/create?verify=true"`);
    expect(server.out).toContain('bin/foodsave-backup list');
  });

  it('makes the first backup', async () => {
    const { items } = json((await curl(api('/list'))).body) as { items: Record<string, unknown>[] };
    expect(items).toMatchObject([{ status: 'complete', trigger: 'first-start' }]);
    expect(Object.keys(items[0]?.['components'] as object)).toHaveLength(4);
  });
});

describe('the lines of the guide, as they stand there', () => {
  const RESTORE = /^\{"name":"backup_name","dryRun":false/;
  it.each<[string, number, RegExp]>([
    ['curl -X POST "http://localhost:8000/api/v2/backup/create?backup_name=backup_name"', 201, /"name":"backup_name"/],
    ['curl -X POST "http://localhost:8000/api/v2/backup/create?verify=true"', 201, /"level":"new","status":"ok"/],
    [
      'curl -X POST "http://localhost:8000/api/v2/backup/create?backup_name=my_backup&verify=true"',
      201,
      /"name":"my_backup"/,
    ],
    ['curl "http://localhost:8000/api/v2/backup/list"', 200, /"total":4/],
    ['curl "http://localhost:8000/api/v2/backup/stats"', 200, /"complete":4/],
    ['curl "http://localhost:8000/api/v2/backup/health"', 200, /^\{"status":"ok","info":\{/],
    ['curl -X POST "http://localhost:8000/api/v2/backup/verify/backup_name"', 200, /"level":"full","status":"ok"/],
    ['curl -X POST "http://localhost:8000/api/v2/backup/restore/backup_name"', 200, RESTORE],
    ['curl -X POST "http://localhost:8000/api/v2/backup/restore/backup_name?components=database,files"', 200, RESTORE],
    ['curl -X DELETE "http://localhost:8000/api/v2/backup/cleanup"', 200, /"kept":\[\{"name"/],
  ])('%s', async (line, status, body) => {
    const typed = line
      .replace('localhost:8000', `localhost:${port}`)
      .replace(/^curl /, "curl -sS -w '\\n%{http_code}' ");
    const out = execFileSync('sh', ['-c', typed], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    const end = out.lastIndexOf('\n');
    expect(out.slice(0, end)).toMatch(body);
    expect(Number(out.slice(end + 1))).toBe(status);
  });
});

describe('runs', () => {
  it('without waiting: 202, then the events until the run has ended', async () => {
    const answer = await curl('-X', 'POST', api('/create?wait=false&backup_name=followed'));
    expect(answer.status).toBe(202);
    const { id } = json(answer.body);
    const stream = await curl('-N', api(`/runs/${String(id)}/events`));
    const events = [...stream.body.matchAll(/^id: (\d+)\ndata: (.*)$/gm)].map(([, seq, data]) => ({
      seq,
      ...json(data ?? ''),
    }));
    expect(events.map((event) => Number(event.seq))).toEqual(events.map((_, index) => index + 1));
    expect(events.map((event) => (event as Record<string, unknown>)['type'])).toEqual(
      expect.arrayContaining(['run.started', 'component.started', 'progress', 'component.finished', 'run.finished']),
    );
    expect(json((await curl(api(`/runs/${String(id)}`))).body)).toMatchObject({ status: 'succeeded' });
  });

  it('fifty creates at once are one run', async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const response = await fetch(api('/create?verify=true'), { method: 'POST' });
        return { status: response.status, id: ((await response.json()) as { id: string }).id };
      }),
    );
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([201]));
    expect(new Set(answers.map((answer) => answer.id)).size).toBe(1);
  });

  it('each line of the log about a run has its id; no line has a query', () => {
    const lines = logLines(directory);
    const ofRuns = lines.filter((line) => /^backup: (create|verify|restore)/.test(String(line['msg'])));
    expect(ofRuns.length).toBeGreaterThan(8);
    for (const line of ofRuns) expect(line['runId']).toMatch(/^[0-9a-z]{26}$/);
    expect(lines.some((line) => line['path'] === '/api/v2/backup/create' && line['status'] === 201)).toBe(true);
    expect(JSON.stringify(lines)).not.toContain('backup_name=');
    const key = readFileSync(path.join(directory, 'state/backup.key'), 'utf8').trim();
    expect(JSON.stringify(lines) + server.out + server.err).not.toContain(key);
  });
});

describe('what is refused', () => {
  it.each<[string, string[], number, string]>([
    ['a bad name', ['-X', 'POST', '/create?backup_name=..%2Fx'], 400, 'NAME_INVALID'],
    ['a name that climbs', ['--path-as-is', '/backups/..%2f..%2fetc'], 400, 'NAME_INVALID'],
    ['a path that climbs', ['--path-as-is', '/backups/../../../etc/passwd'], 404, 'ROUTE_NOT_FOUND'],
    ['an unknown parameter', ['-X', 'POST', '/create?foo=1'], 400, 'VALIDATION_FAILED'],
    ['an unknown component', ['-X', 'POST', '/create?components=nope'], 400, 'COMPONENT_UNKNOWN'],
    ['a wrong method', ['/create'], 405, 'METHOD_NOT_ALLOWED'],
    ['bad JSON', ['-H', 'content-type: application/json', '-d', '{"a', '/create'], 400, 'VALIDATION_FAILED'],
    ['a form', ['-d', 'verify=true', '/create'], 400, 'VALIDATION_FAILED'],
    ['another host', ['-H', 'Host: evil.example', '/list'], 403, 'HOST_NOT_ALLOWED'],
    ['another origin', ['-X', 'POST', '-H', 'Origin: http://evil.example', '/create'], 403, 'ORIGIN_NOT_ALLOWED'],
    ['another site', ['-H', 'Sec-Fetch-Site: cross-site', '/events'], 403, 'ORIGIN_NOT_ALLOWED'],
  ])('%s', async (_what, args, status, code) => {
    const answer = await curl(...args.slice(0, -1), api(args.at(-1) ?? ''));
    expect([answer.status, json(answer.body)['code']]).toEqual([status, code]);
  });

  it('a body of more than 1 MB', async () => {
    const body = path.join(directory, 'large.json');
    writeFileSync(body, JSON.stringify({ backup_name: 'x'.repeat(1_100_000) }));
    const answer = await curl(
      '-X',
      'POST',
      '-H',
      'content-type: application/json',
      '--data-binary',
      `@${body}`,
      api('/create'),
    );
    expect([answer.status, json(answer.body)['code']]).toEqual([413, 'PAYLOAD_TOO_LARGE']);
  });
});

describe('pages and headers', () => {
  it('/ leads to the page; its own addresses are the page too, its missing files are not', async () => {
    const root = await fetch(`http://127.0.0.1:${port}/`, { redirect: 'manual' });
    expect([root.status, root.headers.get('location')]).toEqual([302, '/backup']);
    const built = existsSync(WEB);
    for (const address of ['/backup', '/backup/', '/backup/runs/some-run']) {
      const page = await fetch(`http://127.0.0.1:${port}${address}`);
      expect([page.status, page.headers.get('content-type')]).toEqual([built ? 200 : 503, 'text/html; charset=utf-8']);
      expect(await page.text()).toContain(built ? '<div id="root"' : 'npm run setup');
    }
    expect((await fetch(`http://127.0.0.1:${port}/backup/assets/missing.js`)).status).toBe(404);
  });

  it('a strict policy, a mark, and nothing about what runs here', async () => {
    for (const address of ['/backup', '/api/v2/backup/list', '/api/docs', '/nowhere']) {
      const { headers } = await fetch(`http://127.0.0.1:${port}${address}`);
      expect(headers.get('x-foodsave-backup')).toBe('1');
      expect(headers.get('x-powered-by')).toBeNull();
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toContain("script-src 'self';");
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    }
    expect((await fetch(api('/list'))).headers.get('cache-control')).toBe('no-store');
  });

  it('the OpenAPI document and its page, which needs no script of another origin', async () => {
    const document = (await (await fetch(`http://127.0.0.1:${port}/api/docs-json`)).json()) as { paths: object };
    expect(Object.keys(document.paths)).toContain('/api/v2/backup/restore/{name}');
    const page = await (await fetch(`http://127.0.0.1:${port}/api/docs`)).text();
    expect(page).not.toMatch(/<script(?![^>]*\ssrc="\.\/docs\/)[^>]*>/);
    expect((await fetch(`http://127.0.0.1:${port}/api/docs/swagger-ui-init.js`)).status).toBe(200);
  });
});

describe('starts that cannot be', () => {
  const second = (env: Record<string, string>, ...args: string[]): ServerProcess =>
    new ServerProcess(directory, env, args);

  it('the port is held by our own server: its address, exit 0', async () => {
    const { code, out, err } = await second({ PORT: String(port) }).ended;
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain(`already running: http://127.0.0.1:${port}/backup`);
  });

  it('the port is held by another program: how to choose another, exit 2', async () => {
    const other = createServer((_request, response) => response.end('hello'));
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    const taken = (other.address() as { port: number }).port;
    try {
      const { code, err } = await second({ PORT: String(taken) }).ended;
      expect(code).toBe(2);
      expect(err).toContain('Error [PORT_IN_USE]');
      expect(err).toContain(`PORT=${taken === 65_535 ? 8001 : taken + 1} npm start`);
    } finally {
      other.close();
    }
  });

  it.each<[string, Record<string, string>, string[], RegExp]>([
    [
      'an address that others reach',
      { HOST: '0.0.0.0' },
      [],
      /Error \[CONFIG_INVALID\]: .*only loopback addresses are allowed/,
    ],
    ['a port that is none', { PORT: 'abc' }, [], /Error \[CONFIG_INVALID\]: .*PORT/],
    [
      'a configuration that is not there',
      {},
      ['--config', 'missing.yaml'],
      /Error \[CONFIG_INVALID\]: .*missing\.yaml/,
    ],
    ['an argument that it does not know', {}, ['--prot', '1'], /Error \[USAGE\]: .*--prot/],
  ])('%s: exit 2', async (_what, env, args, message) => {
    const { code, out, err } = await second({ PORT: String(port), ...env }, ...args).ended;
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(message);
    expect(err).not.toMatch(/\n\s+at /);
  });
});

describe('the end', () => {
  it('SIGTERM cancels the run, ends streams, and is answered with exit code 0; the next start serves at once', async () => {
    const own = sample('end');
    const ownPort = await freePort();
    const at = (rest: string): string => `http://127.0.0.1:${ownPort}/api/v2/backup${rest}`;
    const first = new ServerProcess(own, { PORT: String(ownPort) });
    try {
      await first.says('create succeeded');
      const events = fetch(at('/events')).then((response) => response.text());
      const waiting = fetch(at('/check?read_data=true'), { method: 'POST' }).then((response) => response.status);
      await first.says('check started');
      first.child.kill('SIGTERM');
      const { code, err } = await first.ended;
      expect(code).toBe(0);
      expect(err).toContain('Stopped');
      await events;
      expect([200, 409]).toContain(await waiting);

      const again = new ServerProcess(own, { PORT: String(ownPort) });
      await again.says('Listening on');
      expect((await curl(at('/list'))).body).toContain('"total":1');
      expect((await again.stop()).code).toBe(0);
      expect(again.err).not.toContain('making the first one');
    } finally {
      first.child.kill('SIGKILL');
      rmSync(path.dirname(own), { recursive: true, force: true });
    }
  });
});
