import type { Problem } from '@foodsave-backup/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestApplication } from '../testing/application.ts';
import type { Ask } from '../testing/application.ts';
import { Workspace } from '../testing/workspace.ts';

let space: Workspace;
let server: TestApplication;

beforeAll(async () => {
  space = new Workspace();
  server = await TestApplication.start(await space.options());
  await server.ask('POST', '/create?backup_name=good');
});

afterAll(async () => {
  await server.close();
  space.remove();
});

describe('every refusal is a problem document that says what to do', () => {
  it.each<[string, string, Ask, number, string]>([
    ['POST', '/create?backup_name=../x', {}, 400, 'NAME_INVALID'],
    ['POST', '/create?backup_name=repository', {}, 400, 'NAME_INVALID'],
    ['POST', '/create', { body: { backup_name: 'a b' } }, 400, 'NAME_INVALID'],
    ['POST', '/create?verfy=true', {}, 400, 'VALIDATION_FAILED'],
    ['POST', '/create?verify=maybe', {}, 400, 'VALIDATION_FAILED'],
    ['POST', '/create', { body: { verify: 'true', wait: 5 } }, 400, 'VALIDATION_FAILED'],
    ['POST', '/create', { body: '{"verify":' }, 400, 'VALIDATION_FAILED'],
    ['POST', '/create', { body: '"text"' }, 400, 'VALIDATION_FAILED'],
    ['POST', '/create', { body: '[]' }, 400, 'VALIDATION_FAILED'],
    ['POST', '/create', { body: '{"__proto__": {"verify": true}}' }, 400, 'VALIDATION_FAILED'],
    ['POST', '/create', { body: 'verify=true', headers: { 'content-type': 'text/plain' } }, 400, 'VALIDATION_FAILED'],
    ['POST', '/create?components=nonsense', {}, 400, 'COMPONENT_UNKNOWN'],
    ['POST', '/restore/good?components=vector_store', {}, 400, 'COMPONENT_UNKNOWN'],
    ['POST', '/restore/good?path=../etc', {}, 400, 'VALIDATION_FAILED'],
    ['POST', '/restore/good?path=no/such/file&target=out', {}, 404, 'PATH_NOT_FOUND'],
    ['POST', '/restore/missing', {}, 404, 'BACKUP_NOT_FOUND'],
    ['POST', '/restore/%2e%2e%2fgood', {}, 400, 'NAME_INVALID'],
    ['POST', '/verify/good%00', {}, 400, 'NAME_INVALID'],
    ['POST', '/verify/good?level=deep', {}, 400, 'VALIDATION_FAILED'],
    ['GET', '/backups/..%2f..%2fetc%2fpasswd', {}, 400, 'NAME_INVALID'],
    ['DELETE', '/backups/..%5cgood', {}, 400, 'NAME_INVALID'],
    ['DELETE', '/backups/missing', {}, 404, 'BACKUP_NOT_FOUND'],
    ['GET', '/backups/%zz', {}, 400, 'VALIDATION_FAILED'],
    ['GET', '/list?limit=0', {}, 400, 'VALIDATION_FAILED'],
    ['GET', '/list?cursor=bm90IGEgY3Vyc29y', {}, 400, 'VALIDATION_FAILED'],
    ['GET', '/stats?x=1', {}, 400, 'VALIDATION_FAILED'],
    ['GET', '/nothing', {}, 404, 'ROUTE_NOT_FOUND'],
    ['GET', '//', {}, 404, 'ROUTE_NOT_FOUND'],
    ['GET', '/create', {}, 405, 'METHOD_NOT_ALLOWED'],
    ['PUT', '/backups/good', {}, 405, 'METHOD_NOT_ALLOWED'],
  ])('%s %s %j', async (method, path, ask, status, code) => {
    const answer = await server.ask(method, path, ask);
    const problem = answer.json<Problem>();
    expect([answer.status, problem.code]).toEqual([status, code]);
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    expect(problem).toMatchObject({ status, type: `urn:foodsave-backup:error:${code}` });
    expect(problem.title).toBeTruthy();
    expect(problem.detail).toBeTruthy();
    expect(problem.hint).toBeTruthy();
    expect(problem.instance).not.toContain('?');
    expect(answer.text).not.toMatch(/node_modules|\.ts:|\.js:|\bat .*\(/);
  });

  it('a wrong method is told the right ones', async () => {
    expect((await server.ask('PUT', '/backups/good')).headers['allow']).toBe('DELETE, GET, HEAD');
    expect((await server.ask('GET', '/restore/good')).headers['allow']).toBe('POST');
  });

  it('each wrong parameter is named, and what was meant', async () => {
    const { errors } = (await server.ask('POST', '/create?verfy=true&wait=x')).json<Problem>();
    expect(errors?.map((item) => item.parameter).sort()).toEqual(['verfy', 'wait']);
    expect(errors?.find((item) => item.parameter === 'verfy')?.reason).toContain('verify');
  });
});

describe('who is let in', () => {
  const own = (): string => `127.0.0.1:${server.port}`;

  it.each<[string, () => Ask]>([
    ['a program that is no browser', () => ({})],
    ['localhost', () => ({ headers: { host: `localhost:${server.port}` } })],
    ['localhost in capitals and with a dot', () => ({ headers: { host: 'LOCALHOST.' } })],
    ['IPv6 loopback', () => ({ headers: { host: '[::1]:8000' } })],
    ['the own page', () => ({ headers: { origin: `http://${own()}`, 'sec-fetch-site': 'same-origin' } })],
    ['an address typed by a person', () => ({ headers: { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' } })],
    ['a link', () => ({ headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' } })],
  ])('%s', async (_who, ask) => {
    const answer = await server.ask('GET', '/health', ask());
    expect(answer.status).toBe(200);
    expect(answer.headers['x-foodsave-backup']).toBe('1');
    expect(answer.headers['cache-control']).toBe('no-store');
  });

  it.each<[string, string, Record<string, string>]>([
    ['another name for this machine (DNS rebinding)', 'HOST_NOT_ALLOWED', { host: 'evil.example' }],
    ['a name that only begins like ours', 'HOST_NOT_ALLOWED', { host: 'localhost.evil.example' }],
    ['a name that hides ours', 'HOST_NOT_ALLOWED', { host: 'evil.example:80@localhost' }],
    ['another site', 'ORIGIN_NOT_ALLOWED', { origin: 'http://evil.example' }],
    ['another port of this machine', 'ORIGIN_NOT_ALLOWED', { origin: 'http://localhost:3000' }],
    ['a page without an origin', 'ORIGIN_NOT_ALLOWED', { origin: 'null' }],
    ['a request that a browser calls cross-site', 'ORIGIN_NOT_ALLOWED', { 'sec-fetch-site': 'cross-site' }],
    ['a request that a browser calls same-site', 'ORIGIN_NOT_ALLOWED', { 'sec-fetch-site': 'same-site' }],
  ])('but not %s', async (_who, code, headers) => {
    for (const [method, path] of [
      ['POST', '/create'],
      ['GET', '/list'],
      ['GET', '/events'],
      ['GET', '//health/live'],
      ['DELETE', '/cleanup'],
    ] as const) {
      const before = space.executed;
      const answer = await server.ask(method, path, { headers });
      expect([method, path, answer.status, answer.json()['code']]).toEqual([method, path, 403, code]);
      expect(space.executed).toBe(before);
    }
  });

  it('a form of another site does not get through as a navigation', async () => {
    const headers = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
    expect((await server.ask('POST', '/create', { headers })).status).toBe(403);
  });

  it('a name that the configuration allows', async () => {
    const other = new Workspace();
    const options = await other.options();
    const allowing = {
      ...options,
      config: { ...options.config, server: { ...options.config.server, allowedHosts: ['backup.example'] } },
    };
    const app = await TestApplication.start(allowing);
    try {
      expect((await app.ask('GET', '/health', { headers: { host: 'backup.example' } })).status).toBe(200);
      const own = { host: 'backup.example', origin: 'https://backup.example' };
      expect((await app.ask('GET', '/health', { headers: own })).status).toBe(200);
      expect((await app.ask('GET', '/health', { headers: { host: 'other.example' } })).status).toBe(403);
    } finally {
      await app.close();
      other.remove();
    }
  });
});
