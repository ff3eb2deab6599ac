import { setImmediate as turn } from 'node:timers/promises';
import { BackupError, type RunEvent } from '@foodsave-backup/kernel';
import { SimulatedClock } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
import { Run } from './run.ts';
import type { RunContext, RunOutcome } from './types.ts';

const OK: RunOutcome = { status: 'succeeded', result: { done: true } };

function newRun(clock = new SimulatedClock()): Run {
  return new Run('r1', { command: 'create', name: 'x', trigger: 'manual' }, clock);
}

async function journal(run: Run, afterSeq = 0): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of run.events(afterSeq)) events.push(event);
  return events;
}

const bytesOf = (events: readonly RunEvent[]): number[] =>
  events.flatMap((event) => (event.type === 'progress' ? [event.progress.doneBytes] : []));

describe('the journal of a run', () => {
  it('numbers events from 1 without a gap, first run.started, last run.finished with the outcome', async () => {
    const run = newRun();
    expect(run.view()).toMatchObject({ id: 'r1', command: 'create', status: 'queued' });
    await run.execute(async (context) => {
      expect(run.view().status).toBe('running');
      context.emit({ type: 'component.started', component: 'files' });
      context.emit({ type: 'warning', code: 'X', message: 'x' });
      context.emit({ type: 'component.finished', component: 'files', status: 'complete' });
      return OK;
    });
    const events = await journal(run);
    expect(events.map((event) => event.seq)).toEqual([1, 2, 3, 4, 5]);
    expect(events.every((event) => event.runId === 'r1' && event.at === '2026-11-23T04:00:00.000Z')).toBe(true);
    expect(events[0]).toMatchObject({
      type: 'run.started',
      command: 'create',
      detail: { name: 'x', trigger: 'manual' },
    });
    expect(events[4]).toMatchObject({ type: 'run.finished', status: 'succeeded', result: { done: true } });
    expect(await run.finished).toMatchObject({
      status: 'succeeded',
      result: { done: true },
      finishedAt: '2026-11-23T04:00:00.000Z',
    });
  });

  it('lets at most four progress events a second pass, and always the last of a phase', async () => {
    const clock = new SimulatedClock();
    const run = newRun(clock);
    await run.execute(async (context) => {
      for (let i = 1; i <= 300; i++) {
        context.progress({ phase: 'capture', doneBytes: i, doneFiles: 0 });
        await clock.advance(10);
      }
      // Within the same quarter of a second as the one before: held back, until the phase ends.
      context.progress({ phase: 'capture', doneBytes: 999, doneFiles: 0 });
      context.emit({ type: 'component.finished', component: 'files', status: 'complete' });
      context.progress({ phase: 'verify', doneBytes: 1000, doneFiles: 0 });
      return OK;
    });
    const events = await journal(run);
    const inCapture = bytesOf(events).filter((bytes) => bytes < 999);
    expect(inCapture).toHaveLength(12);
    const types = events.map((event) => event.type);
    const end = types.indexOf('component.finished');
    expect(events[end - 1]).toMatchObject({ type: 'progress', progress: { doneBytes: 999 } });
    expect(events.at(-2)).toMatchObject({ type: 'progress', progress: { doneBytes: 1000, phase: 'verify' } });
    expect(events.map((event) => event.seq)).toEqual(events.map((_, i) => i + 1));
    expect(run.view().progress).toMatchObject({ doneBytes: 1000 });
  });

  it('passes the last figures of a phase when the next phase follows within the same quarter of a second', async () => {
    const run = newRun();
    await run.execute(async (context) => {
      context.progress({ phase: 'capture', doneBytes: 1, doneFiles: 0 });
      context.progress({ phase: 'capture', doneBytes: 2, doneFiles: 0 });
      context.progress({ phase: 'verify', doneBytes: 3, doneFiles: 0 });
      context.progress({ phase: 'verify', doneBytes: 4, doneFiles: 0 });
      return OK;
    });
    const bytes = bytesOf(await journal(run));
    expect(bytes).toContain(2);
    expect(bytes.at(-1)).toBe(4);
  });

  it('never waits for a slow reader, and gives readers that come late everything', async () => {
    const clock = new SimulatedClock();
    const run = newRun(clock);
    const slow = run.events();
    const first = slow.next();
    await run.execute(async (context) => {
      for (let i = 0; i < 50; i++) context.emit({ type: 'warning', code: 'N', message: String(i) });
      return OK;
    });
    // The run has ended, though its reader has only taken one event.
    expect((await run.finished).status).toBe('succeeded');
    expect((await first).value).toMatchObject({ seq: 1 });
    const rest: RunEvent[] = [];
    for await (const event of slow) rest.push(event);
    expect(rest).toHaveLength(51);
    expect(await journal(run)).toHaveLength(52);
    expect((await journal(run, 50)).map((event) => event.seq)).toEqual([51, 52]);
    expect(await journal(run, 52)).toEqual([]);
  });

  it('keeps transitions when more events come than it keeps, and drops progress', async () => {
    const clock = new SimulatedClock();
    const run = newRun(clock);
    await run.execute(async (context) => {
      for (let i = 0; i < 11_000; i++) {
        context.progress({ phase: 'capture', doneBytes: i, doneFiles: 0 });
        if (i % 1000 === 0) context.emit({ type: 'warning', code: 'N', message: String(i) });
        clock.jump(0);
        await (i % 500 === 0 ? clock.advance(250) : undefined);
      }
      for (let i = 0; i < 10_500; i++) context.emit({ type: 'warning', code: 'M', message: String(i) });
      return OK;
    });
    const events = await journal(run);
    expect(events[0]?.type).toBe('run.started');
    expect(events.at(-1)?.type).toBe('run.finished');
    expect(events.length).toBeLessThanOrEqual(10_001);
  });

  it('ends the reading of a reader that goes away', async () => {
    const run = newRun();
    const gone = new AbortController();
    const seen: RunEvent[] = [];
    const reading = (async () => {
      for await (const event of run.events(0, gone.signal)) seen.push(event);
    })();
    let release: () => void = () => undefined;
    const ended = run.execute(() => new Promise((resolve) => (release = () => resolve(OK))));
    await turn();
    gone.abort();
    await reading;
    expect(seen.map((event) => event.type)).toEqual(['run.started']);
    release();
    await ended;
  });
});

describe('how a run ends', () => {
  it('with the code, message and hint of what was thrown, and never a stack', async () => {
    const run = newRun();
    await run.execute(async () => {
      throw new BackupError('NO_SPACE', 'full', { hint: 'free some' });
    });
    expect(await run.finished).toMatchObject({
      status: 'failed',
      error: { code: 'NO_SPACE', message: 'full', hint: 'free some' },
    });
    const other = newRun();
    await other.execute(async () => {
      throw new TypeError('x is not a function');
    });
    const view = await other.finished;
    expect(view).toMatchObject({ status: 'failed', error: { code: 'INTERNAL' } });
    expect(JSON.stringify(view)).not.toContain('.ts:');
  });

  it('cancelled before it began: nothing is done', async () => {
    const run = newRun();
    run.cancel('not wanted');
    let began = false;
    await run.execute(async () => {
      began = true;
      return OK;
    });
    expect(began).toBe(false);
    expect(await run.finished).toMatchObject({
      status: 'cancelled',
      error: { code: 'CANCELLED', message: 'Cancelled: not wanted' },
    });
  });

  it('cancelled on the way: whatever the work throws then', async () => {
    const run = newRun();
    await run.execute(async ({ signal }: RunContext) => {
      run.cancel('enough');
      expect(signal.aborted).toBe(true);
      throw new Error('the pipe broke');
    });
    expect((await run.finished).status).toBe('cancelled');
    expect((await journal(run)).at(-1)).toMatchObject({ type: 'run.finished', status: 'cancelled' });
  });

  it('succeeded, when the work was past the point of no return', async () => {
    const run = newRun();
    await run.execute(async () => {
      run.cancel('too late');
      return OK;
    });
    expect((await run.finished).status).toBe('succeeded');
  });

  it('once: a cancel afterwards is refused', async () => {
    const run = newRun();
    await run.execute(async () => OK);
    expect(() => {
      run.cancel('late');
    }).toThrow(expect.objectContaining({ code: 'RUN_FINISHED' }) as Error);
  });
});
