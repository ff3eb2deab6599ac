import { setImmediate as turn } from 'node:timers/promises';
import type { RunEvent } from '@foodsave-backup/kernel';
import { SimulatedClock } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
import { RunManager, type Execute } from './run-manager.ts';
import type { CreateResult, RunOutcome } from './types.ts';
import { World } from './testing/world.ts';

const OK: RunOutcome = { status: 'succeeded', result: null };
const ACTOR = { actor: 'test' };

/** Commands that wait until they are let go, in order. */
function gated(): { manager: RunManager; started: string[]; release: () => Promise<void> } {
  const started: string[] = [];
  const gates: (() => void)[] = [];
  const execute: Execute = (run, context) => {
    started.push('name' in run.command ? (run.command.name ?? run.command.command) : run.command.command);
    return new Promise((resolve, reject) => {
      gates.push(() => {
        resolve(OK);
      });
      context.signal.addEventListener('abort', () => {
        reject(context.signal.reason as Error);
      });
    });
  };
  const release = async (): Promise<void> => {
    gates.shift()?.();
    await turn();
  };
  return { manager: new RunManager(new SimulatedClock(), execute), started, release };
}

describe('the queue of runs', () => {
  it('runs one at a time in order, and a failure does not stop it', async () => {
    const { manager, started, release } = gated();
    const runs = ['a', 'b', 'c'].map((name) => manager.submit({ command: 'create', name, trigger: 'manual' }, ACTOR));
    await turn();
    expect(started).toEqual(['a']);
    expect(runs.map((run) => run.view().status)).toEqual(['running', 'queued', 'queued']);
    runs[1]?.cancel('not this one');
    await release();
    expect(started).toEqual(['a', 'c']);
    await release();
    expect(await Promise.all(runs.map(async (run) => (await run.finished).status))).toEqual([
      'succeeded',
      'cancelled',
      'succeeded',
    ]);
    expect(manager.list().map((run) => run.id)).toEqual(runs.map((run) => run.id).reverse());
    expect(() => manager.get('nope')).toThrow(expect.objectContaining({ code: 'RUN_NOT_FOUND' }) as Error);
    expect(manager.get(runs[0]?.id ?? '')).toBe(runs[0]);
  });

  it('joins creates without a name that ask for the same, and no others', async () => {
    const { manager, release } = gated();
    const first = manager.submit({ command: 'create', trigger: 'manual' }, ACTOR);
    await turn();
    expect(manager.submit({ trigger: 'manual', command: 'create' }, ACTOR)).toBe(first);
    expect(manager.submit({ command: 'create', trigger: 'manual', components: ['files'] }, ACTOR)).not.toBe(first);
    expect(manager.submit({ command: 'create', trigger: 'manual', name: 'n' }, ACTOR)).not.toBe(first);
    expect(manager.submit({ command: 'cleanup' }, ACTOR)).not.toBe(manager.submit({ command: 'cleanup' }, ACTOR));
    await release();
    await first.finished;
    expect(manager.submit({ command: 'create', trigger: 'manual' }, ACTOR)).not.toBe(first);
    await manager.close();
  });

  it('starts one run for a create and the other doors that ask for the same in other words', async () => {
    const { manager } = gated();
    const first = manager.submit({ command: 'create', trigger: 'manual' }, ACTOR);
    const undefinedParts = { command: 'create', trigger: 'manual', components: undefined, name: undefined };
    expect(manager.submit(undefinedParts as unknown as { command: 'create'; trigger: 'manual' }, ACTOR)).toBe(first);
    await manager.close();
  });

  it('gives the same run for the same Idempotency-Key, also after it has finished, and refuses another request', async () => {
    const { manager, release } = gated();
    const command = { command: 'create', name: 'x', trigger: 'manual' } as const;
    const first = manager.submit(command, { ...ACTOR, idempotencyKey: 'k' });
    expect(manager.submit({ ...command }, { ...ACTOR, idempotencyKey: 'k' })).toBe(first);
    await turn();
    await release();
    await first.finished;
    expect(manager.submit({ ...command }, { ...ACTOR, idempotencyKey: 'k' })).toBe(first);
    expect(() => manager.submit({ ...command, name: 'y' }, { ...ACTOR, idempotencyKey: 'k' })).toThrow(
      expect.objectContaining({ code: 'IDEMPOTENCY_CONFLICT' }) as Error,
    );
    const other = manager.submit({ ...command }, { ...ACTOR, idempotencyKey: 'k2' });
    expect(other).not.toBe(first);
    await manager.close();
  });

  it('forgets old runs that have finished, and their keys, but none that waits', async () => {
    const manager = new RunManager(new SimulatedClock(), async () => OK);
    const first = manager.submit({ command: 'cleanup' }, { ...ACTOR, idempotencyKey: 'first' });
    await first.finished;
    for (let i = 0; i < 520; i++) await manager.submit({ command: 'cleanup' }, ACTOR).finished;
    expect(manager.list().length).toBeLessThanOrEqual(501);
    expect(() => manager.get(first.id)).toThrow(expect.objectContaining({ code: 'RUN_NOT_FOUND' }) as Error);
    expect(manager.submit({ command: 'cleanup' }, { ...ACTOR, idempotencyKey: 'first' })).not.toBe(first);
    const waiting = gated();
    const runs = Array.from({ length: 510 }, (_, i) =>
      waiting.manager.submit({ command: 'create', name: `n${i}`, trigger: 'manual' }, ACTOR),
    );
    expect(waiting.manager.get(runs[0]?.id ?? '')).toBe(runs[0]);
    await waiting.manager.close();
  });

  it('tells listeners of every event of every run, until they leave, and survives one that throws', async () => {
    const { manager, release } = gated();
    const seen: RunEvent[] = [];
    manager.listen(() => {
      throw new Error('a listener of the host is broken');
    });
    const leave = manager.listen((event) => seen.push(event));
    const a = manager.submit({ command: 'create', name: 'a', trigger: 'manual' }, ACTOR);
    await turn();
    await release();
    await a.finished;
    await turn();
    expect(seen.map((event) => event.type)).toEqual(['run.started', 'run.finished']);
    leave();
    await manager.close();
    expect(seen).toHaveLength(2);
  });

  it('close() cancels what runs and what waits, waits for it, and takes nothing more', async () => {
    const { manager, started } = gated();
    const runs = ['a', 'b'].map((name) => manager.submit({ command: 'create', name, trigger: 'manual' }, ACTOR));
    await turn();
    await manager.close();
    expect(runs.map((run) => run.view().status)).toEqual(['cancelled', 'cancelled']);
    expect(started).toEqual(['a']);
    expect(() => manager.submit({ command: 'cleanup' }, ACTOR)).toThrow(
      expect.objectContaining({ code: 'INTERRUPTED' }) as Error,
    );
  });
});

describe('with a real repository', () => {
  it('50 simultaneous creates are one backup; of two with one name the second is refused', async () => {
    await using world = await World.create();
    const manager = new RunManager(new SimulatedClock(), (run, context) => world.engine.execute(run.command, context));
    const runs = Array.from({ length: 50 }, () => manager.submit({ command: 'create', trigger: 'manual' }, ACTOR));
    expect(new Set(runs).size).toBe(1);
    const view = await runs[0]?.finished;
    expect((view?.result as CreateResult).backup.status).toBe('complete');
    const [a, b] = ['same', 'SAME'].map((name) =>
      manager.submit({ command: 'create', name, trigger: 'manual' }, ACTOR),
    );
    expect((await a?.finished)?.status).toBe('succeeded');
    expect(await b?.finished).toMatchObject({ status: 'failed', error: { code: 'NAME_TAKEN' } });
    expect((await world.engine.list()).total).toBe(2);
    await manager.close();
  });
});

describe('runs beside the queue', () => {
  const exporting = { command: 'export', name: 'a', format: 'zip', output: { descriptor: 4 } } as const;

  it('start at once, four at most, and end with the manager', async () => {
    const { manager, started } = gated();
    manager.submit({ command: 'create', name: 'queued', trigger: 'manual' }, ACTOR);
    const waiting: Execute = (_run, context) =>
      new Promise((_resolve, reject) => {
        context.signal.addEventListener('abort', () => {
          reject(context.signal.reason as Error);
        });
      });
    const runs = Array.from({ length: 4 }, () => manager.beside(exporting, waiting));
    await turn();
    expect(started).toEqual(['queued']);
    expect(runs.map((run) => run.view().status)).toEqual(Array.from({ length: 4 }, () => 'running'));
    expect(() => manager.beside(exporting, waiting)).toThrow(expect.objectContaining({ code: 'LOCKED' }));
    runs[0]?.cancel('the client has gone');
    await runs[0]?.finished;
    await turn();
    expect(manager.beside(exporting, () => Promise.resolve(OK)).view().command).toBe('export');
    await manager.close();
    expect(runs.every((run) => run.view().status === 'cancelled')).toBe(true);
    expect(() => manager.beside(exporting, waiting)).toThrow(expect.objectContaining({ code: 'INTERRUPTED' }));
  });
});
