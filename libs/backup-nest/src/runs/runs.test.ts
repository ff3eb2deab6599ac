import type { Backup, Run, RunPage } from '@foodsave-backup/contracts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestApplication } from '../testing/application.ts';
import { EventStream } from '../testing/event-stream.ts';
import { Workspace } from '../testing/workspace.ts';

let space: Workspace;
let server: TestApplication;

beforeEach(async () => {
  space = new Workspace();
  server = await TestApplication.start(await space.options());
});

afterEach(async () => {
  await server.close();
  space.remove();
});

const api = (path: string): string => `http://127.0.0.1:${server.port}/api/v2/backup${path}`;

/** Holds every run back until it is let go. A cancelled run goes on at once. */
function holdRuns(): () => void {
  let letGo = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  space.beforeRun = (signal) =>
    Promise.race([held, new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))]);
  return letGo;
}

describe('requests that do not wait', () => {
  it('202 with the run and its address; the run can be followed to its end', async () => {
    const answer = await server.ask('POST', '/create?wait=false&backup_name=later');
    expect(answer.status).toBe(202);
    const run = answer.json<Run>();
    expect(answer.headers['location']).toBe(`/api/v2/backup/runs/${run.id}`);

    const stream = await EventStream.open(api(`/runs/${run.id}/events`));
    await stream.ended;
    const types = stream.events.map(({ event }) => event.type);
    expect(types[0]).toBe('run.started');
    expect(types.at(-1)).toBe('run.finished');
    expect(types).toContain('progress');
    expect(types.filter((type) => type === 'component.finished')).toHaveLength(3);
    expect(stream.events.map(({ id }) => id)).toEqual(stream.events.map(({ event }) => String(event.seq)));

    const shown = (await server.ask('GET', `/runs/${run.id}`)).json<Run>();
    expect(shown).toMatchObject({ id: run.id, command: 'create', status: 'succeeded' });
    expect((shown.result as { backup: Backup }).backup.name).toBe('later');
  });

  it('a stream goes on after Last-Event-ID, and stays away when there is nothing left', async () => {
    const { id } = (await server.ask('POST', '/create?wait=false')).json<Run>();
    const whole = await EventStream.open(api(`/runs/${id}/events`));
    await whole.ended;
    const rest = await EventStream.open(api(`/runs/${id}/events`), '2');
    await rest.ended;
    expect(rest.events).toEqual(whole.events.slice(2));
    const last = whole.events.at(-1)?.id;
    expect((await EventStream.open(api(`/runs/${id}/events`), last)).status).toBe(204);
    const odd = await server.ask('GET', `/runs/${id}/events`, { headers: { 'last-event-id': 'x' } });
    expect([odd.status, odd.json()['code']]).toEqual([400, 'VALIDATION_FAILED']);
  });

  it('a client that leaves does not stop its run', async () => {
    const letGo = holdRuns();
    const controller = new AbortController();
    const left = fetch(api('/create?backup_name=alone'), { method: 'POST', signal: controller.signal });
    const all = await EventStream.open(api('/events'));
    await expect.poll(() => space.executed).toBe(1);
    controller.abort();
    await expect(left).rejects.toThrow();
    letGo();
    await all.first((event) => event.type === 'run.finished');
    all.close();
    expect((await server.ask('GET', '/backups/alone')).status).toBe(200);
  });
});

describe('requests at once', () => {
  it('fifty equal creates are one run and one backup', async () => {
    const letGo = holdRuns();
    const asked = Array.from({ length: 50 }, () => server.ask('POST', '/create?verify=true'));
    await expect.poll(() => space.executed).toBe(1);
    letGo();
    const answers = await Promise.all(asked);
    expect(answers.map((answer) => answer.status)).toEqual(Array(50).fill(201));
    expect(new Set(answers.map((answer) => answer.json<Backup>().id)).size).toBe(1);
    expect(space.executed).toBe(1);
  });

  it('one Idempotency-Key is one run, and is refused for another request', async () => {
    const headers = { 'idempotency-key': 'deploy-42' };
    const first = await server.ask('POST', '/create?backup_name=a', { headers });
    const second = await server.ask('POST', '/create?backup_name=a', { headers });
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.json<Backup>().id).toBe(first.json<Backup>().id);
    expect(space.executed).toBe(1);
    const other = await server.ask('POST', '/create?backup_name=b', { headers });
    expect([other.status, other.json()['code']]).toEqual([422, 'IDEMPOTENCY_CONFLICT']);
    const bad = await server.ask('POST', '/create', { headers: { 'idempotency-key': 'a b' } });
    expect(bad.status).toBe(400);
  });
});

describe('cancelling', () => {
  it('a run that is cancelled leaves nothing; whoever waits for it is told', async () => {
    holdRuns();
    const waiting = server.ask('POST', '/create?backup_name=never');
    await expect.poll(() => space.executed).toBe(1);
    const [run] = (await server.ask('GET', '/runs?status=running')).json<RunPage>().items;
    const cancelled = await server.ask('DELETE', `/runs/${run?.id ?? ''}`);
    expect(cancelled.status).toBe(202);
    const answer = await waiting;
    expect([answer.status, answer.json()['code']]).toEqual([409, 'CANCELLED']);
    const again = await server.ask('DELETE', `/runs/${run?.id ?? ''}`);
    expect([again.status, again.json()['code']]).toEqual([409, 'RUN_FINISHED']);
  });

  it('the preview of retention does not wait for a run', async () => {
    const letGo = holdRuns();
    const waiting = server.ask('POST', '/create');
    await expect.poll(() => space.executed).toBe(1);
    expect((await server.ask('GET', '/retention')).json()).toMatchObject({
      planError: { code: 'REPOSITORY_NOT_FOUND' },
    });
    letGo();
    await waiting;
    expect((await server.ask('GET', '/retention')).json()).toMatchObject({ plan: { deleted: [] } });
  });

  it('an unknown run is 404, a bad id 400', async () => {
    expect((await server.ask('GET', '/runs/01k9z3s5e8m0v6qv7c2d4f8g1h')).json()['code']).toBe('RUN_NOT_FOUND');
    expect((await server.ask('GET', '/runs/nope')).status).toBe(400);
  });

  it('closing the application ends streams and cancels runs', async () => {
    holdRuns();
    const waiting = server.ask('POST', '/create');
    await expect.poll(() => space.executed).toBe(1);
    const all = await EventStream.open(api('/events'));
    await server.close();
    await all.ended;
    expect((await waiting).json()['code']).toBe('CANCELLED');
  });
});

describe('the stream of all runs', () => {
  it('tells what happens from now on, and goes on where a reader was', async () => {
    await server.ask('POST', '/create?backup_name=before');
    const stream = await EventStream.open(api('/events'));
    await server.ask('POST', '/create?backup_name=during');
    const finished = await stream.first((event) => event.type === 'run.finished');
    expect(new Set(stream.events.map(({ event }) => event.runId)).size).toBe(1);
    expect(finished.id).toBe(`${finished.event.runId}:${finished.event.seq}`);
    stream.close();

    await server.ask('POST', '/verify/during?level=quick');
    const resumed = await EventStream.open(api('/events'), stream.events[0]?.id);
    await resumed.first((event) => event.type === 'run.finished' && event.runId !== finished.event.runId);
    expect(resumed.events.slice(0, stream.events.length - 1)).toEqual(stream.events.slice(1));
    const live = server.ask('POST', '/verify/before?level=quick');
    await live;
    await resumed.first((event) => event.type === 'run.started' && event.detail['name'] === 'before');
    resumed.close();
    const ids = resumed.events.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('runs are listed newest first, by pages', async () => {
    for (const name of ['one', 'two', 'three'])
      await server.ask('POST', `/create?components=files&backup_name=${name}`);
    const first = (await server.ask('GET', '/runs?limit=2')).json<RunPage>();
    expect([first.items.length, first.total]).toEqual([2, 3]);
    const next = (await server.ask('GET', `/runs?limit=2&cursor=${first.nextCursor ?? ''}`)).json<RunPage>();
    const ids = [...first.items, ...next.items].map((run) => run.id);
    expect(ids).toEqual([...ids].sort().reverse());
    expect(next.nextCursor).toBeUndefined();
  });
});
