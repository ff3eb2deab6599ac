import { BackupError } from '@foodsave-backup/kernel';
import type { Clock } from '@foodsave-backup/kernel';
import { describe, expect, it } from 'vitest';
import { MemoryStorage, withConcurrencyLimit, withFaults, withReadLimit, withRetry } from '../index.ts';
import type { FaultPlan, ObjectInfo, RetryOptions, StorageBackend } from '../index.ts';

const BODY = Buffer.from('body');
const transient = (): BackupError => new BackupError('IO_ERROR', 'reset', { details: { transient: true } });

/** A clock whose sleeps end at once and are written down. */
function recordingClock(): Clock & { sleeps: number[] } {
  const sleeps: number[] = [];
  const sleep = (ms: number): Promise<void> => {
    sleeps.push(ms);
    return Promise.resolve();
  };
  return { sleeps, now: () => 0, monotonic: () => 0, sleep };
}

function retrying(plan: FaultPlan, options: Partial<RetryOptions> = {}) {
  const clock = recordingClock();
  const memory = new MemoryStorage();
  const faulty = withFaults(memory, { error: transient, ...plan });
  const backend = withRetry(faulty, { clock, attempts: 5, baseMs: 100, maxMs: 350, random: () => 1, ...options });
  return { clock, memory, faulty, backend };
}

async function collect(items: AsyncIterable<ObjectInfo>): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of items) keys.push(key);
  return keys;
}

describe('withRetry', () => {
  it('waits exponentially up to the cap, and gives the last error after the last attempt', async () => {
    const { clock, faulty, backend } = retrying({ at: 1, mode: 'from' });
    await expect(backend.get('x')).rejects.toMatchObject({ message: 'reset' });
    expect(faulty.operations).toBe(5);
    expect(clock.sleeps).toEqual([100, 200, 350, 350]);
  });

  it('spreads the waits over the whole interval', async () => {
    const values = [0, 0.5, 0.25];
    const { clock, backend } = retrying({ at: 1, mode: 'from' }, { attempts: 4, random: () => values.shift() ?? 0 });
    await expect(backend.stat('x')).rejects.toThrow('reset');
    expect(clock.sleeps).toEqual([0, 100, 87.5]);
  });

  it('passes an error that will not go away at once', async () => {
    const { clock, faulty, backend } = retrying({ at: 1, error: () => new BackupError('NO_SPACE', 'full') });
    await expect(backend.put('x', BODY)).rejects.toMatchObject({ code: 'NO_SPACE' });
    expect([faulty.operations, clock.sleeps]).toEqual([1, []]);
  });

  it('does not retry for an absent object', async () => {
    const { faulty, backend } = retrying({ at: 0 });
    await expect(backend.get('absent')).rejects.toMatchObject({ details: { notFound: true } });
    expect(faulty.operations).toBe(1);
  });

  it('stops waiting when the signal fires', async () => {
    const controller = new AbortController();
    const clock: Clock = {
      now: () => 0,
      monotonic: () => 0,
      sleep: (_ms, signal) =>
        new Promise((_, reject) => {
          signal?.addEventListener('abort', () => {
            reject(signal.reason as Error);
          });
          controller.abort();
        }),
    };
    const { faulty, backend } = retrying({ at: 1, mode: 'from' }, { clock });
    await expect(backend.put('x', BODY, { signal: controller.signal })).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(faulty.operations).toBe(1);
  });

  it('knows its own object again when the answer to ifAbsent was lost, and no other', async () => {
    const lost = retrying({ at: 1, when: 'after', operations: ['put'] });
    expect(await lost.backend.put('lock', BODY, { ifAbsent: true })).toBe(true);
    const other = retrying({ at: 1, when: 'before', operations: ['put'] });
    await other.memory.put('lock', Buffer.from('somebody else'));
    expect(await other.backend.put('lock', BODY, { ifAbsent: true })).toBe(false);
  });

  it('lists each object once when a listing breaks off in the middle', async () => {
    const { memory, faulty, backend } = retrying({ at: 1, when: 'after', operations: ['list'] });
    for (const key of ['a', 'b', 'c', 'd', 'e']) await memory.put(key, BODY);
    expect(await collect(backend.list(''))).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(faulty.failures).toBe(1);
  });
});

describe('withFaults', () => {
  const operations: ((b: StorageBackend) => Promise<unknown>)[] = [
    (b) => b.put('k', BODY),
    (b) => b.get('k'),
    (b) => b.stat('k'),
    (b) => collect(b.list('')),
    (b) => b.delete('k'),
  ];

  it.each(['once', 'from'] as const)('fails the n-th operation, for every n (%s)', async (mode) => {
    for (let at = 1; at <= operations.length; at++) {
      const backend = withFaults(new MemoryStorage({ from: await filled() }), { at, mode });
      const failed: number[] = [];
      for (const [n, operation] of operations.entries()) await operation(backend).catch(() => failed.push(n + 1));
      const expected = operations.map((_, n) => n + 1).filter((n) => (mode === 'once' ? n === at : n >= at));
      expect(failed).toEqual(expected);
      expect([backend.operations, backend.failures]).toEqual([5, expected.length]);
    }
  });

  it('loses the operation before, and only its answer after', async () => {
    const memory = new MemoryStorage();
    await expect(withFaults(memory, { at: 1, when: 'before' }).put('x', BODY)).rejects.toThrow('Injected');
    expect(await memory.stat('x')).toBeUndefined();
    await expect(withFaults(memory, { at: 1, when: 'after' }).put('x', BODY)).rejects.toThrow('Injected');
    expect(await memory.stat('x')).toBeDefined();
  });

  it('counts only what it is told to', async () => {
    const backend = withFaults(new MemoryStorage(), { at: 1, operations: ['put'], keys: /^index\// });
    await backend.stat('index/a');
    await backend.put('other', BODY);
    await expect(backend.put('index/a', BODY)).rejects.toThrow('Injected');
    expect(backend.operations).toBe(1);
  });

  async function filled(): Promise<MemoryStorage> {
    const memory = new MemoryStorage();
    await memory.put('k', BODY);
    return memory;
  }
});

describe('limits', () => {
  /** A backend that tells how many of its operations ran at once at most, and lets them end only one by one. */
  function measured(): { backend: StorageBackend; peak: () => number } {
    const memory = new MemoryStorage();
    let running = 0;
    let peak = 0;
    const slow = async <T>(run: () => Promise<T>): Promise<T> => {
      peak = Math.max(peak, ++running);
      await new Promise(setImmediate);
      try {
        return await run();
      } finally {
        running--;
      }
    };
    const backend: StorageBackend = {
      capabilities: memory.capabilities,
      location: memory.location,
      put: (key, body, options) => slow(() => memory.put(key, body, options)),
      get: (key, range, options) => slow(() => memory.get(key, range, options)),
      stat: (key) => slow(() => memory.stat(key)),
      list: (prefix) => memory.list(prefix),
      keys: (prefix) => memory.keys(prefix),
      delete: (key) => slow(() => memory.delete(key)),
      close: () => memory.close(),
    };
    return { backend, peak: () => peak };
  }

  it('runs exactly so many operations at a time, also when some fail', async () => {
    const { backend, peak } = measured();
    const limited = withConcurrencyLimit(backend, 3);
    const work = Array.from({ length: 30 }, (_, n) => (n % 3 ? limited.put(`k/${n}`, BODY) : limited.get('absent')));
    const settled = await Promise.allSettled(work);
    expect(settled.filter((r) => r.status === 'rejected')).toHaveLength(10);
    expect(peak()).toBe(3);
  });

  it('limits reads alone', async () => {
    const { backend, peak } = measured();
    const limited = withReadLimit(backend, 2);
    await Promise.all(Array.from({ length: 6 }, () => limited.get('absent').catch(() => undefined)));
    expect(peak()).toBe(2);
    await Promise.all(Array.from({ length: 6 }, (_, n) => limited.put(`k/${n}`, BODY)));
    expect(peak()).toBe(6);
  });

  it('lets the consumer of a listing use the only place', async () => {
    const limited = withConcurrencyLimit(new MemoryStorage(), 1);
    for (const key of ['a', 'b', 'c']) await limited.put(key, BODY);
    const seen: string[] = [];
    for await (const { key } of limited.list('')) {
      await limited.get(key);
      seen.push(key);
    }
    expect(seen).toEqual(['a', 'b', 'c']);
  });

  it('gives up its turn when the signal fires, and the others still get theirs', async () => {
    const { backend } = measured();
    const limited = withConcurrencyLimit(backend, 1);
    const controller = new AbortController();
    const first = limited.put('first', BODY);
    const second = limited.put('second', BODY, { signal: controller.signal });
    const third = limited.put('third', BODY);
    controller.abort();
    await expect(second).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await Promise.all([first, third])).toEqual([true, true]);
    expect((await collect(limited.list(''))).sort()).toEqual(['first', 'third']);
  });

  it.each([0, -1, 1.5, NaN])('refuses a limit of %d', (limit) => {
    expect(() => withConcurrencyLimit(new MemoryStorage(), limit)).toThrow(RangeError);
  });
});
