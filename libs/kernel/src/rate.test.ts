import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock, type Clock } from './clock.ts';
import { BackupError } from './errors.ts';
import { parseRate, RateLimit } from './rate.ts';

describe('a rate as people write it', () => {
  it.each([
    ['50 MB', 50e6],
    ['50MB', 50e6],
    ['1.5 MiB/s', 1.5 * 2 ** 20],
    [' 800 kB ', 800e3],
    ['800 KB/s', 800e3],
    ['1 GiB', 2 ** 30],
    ['1000 GB', 1e12],
    ['250000', 250e3],
    [250e3, 250e3],
    [1000.4, 1000],
  ])('%j', (text, rate) => {
    expect(parseRate(text)).toBe(rate);
  });

  it.each([
    ...['', '50', 50, 999, '0 MB', '-1 MB', '50 Mb', '50 mb', '50 MBit', '50 TB', 'fast', '1e6', '5  MB', '0x10 MB'],
    ...['1001 GB', 'constructor', '7 constructor', NaN, Infinity, null, undefined, true, [50e6], '9'.repeat(400)],
  ])('%j is none', (value) => {
    expect(parseRate(value)).toBeUndefined();
  });
});

const NEVER = new AbortController().signal;

describe('a limit of bytes a second', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  const now = (): number => systemClock.monotonic();

  /** Lets time pass until it is done, and not beyond. */
  async function ended<T>(work: Promise<T>): Promise<T> {
    const state = { done: false };
    const watched = work.finally(() => {
      state.done = true;
    });
    for (let i = 0; i < 10_000 && !state.done; i++) await vi.advanceTimersToNextTimerAsync();
    return watched;
  }

  it('lets no time pass more than its rate and what a tenth of a second saved', async () => {
    const step = fc.record({ idle: fc.nat(3000), bytes: fc.nat(40_000) });
    const steps = fc.array(step, { maxLength: 30 });
    const property = fc.asyncProperty(fc.integer({ min: 1000, max: 50_000 }), steps, async (rate, all) => {
      const limit = new RateLimit(rate, systemClock);
      const passed: { at: number; bytes: number }[] = [];
      for (const { idle, bytes } of all) {
        await vi.advanceTimersByTimeAsync(idle);
        await ended(limit.pass(bytes, NEVER));
        passed.push({ at: now(), bytes });
      }
      for (const [i, first] of passed.entries()) {
        let sum = 0;
        for (const { at, bytes } of passed.slice(i + 1)) {
          sum += bytes;
          expect(sum).toBeLessThanOrEqual(rate * ((at - first.at) / 1000 + 0.1) + 1e-3);
        }
      }
    });
    await fc.assert(property, { numRuns: 50 });
  });

  it('is reached by whoever never pauses: timers that come late take nothing away', async () => {
    const late: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms + 20, signal) };
    const limit = new RateLimit(1_000_000, late);
    const started = now();
    for (let i = 0; i < 100; i++) await ended(limit.pass(100_000, NEVER));
    expect(now() - started).toBeGreaterThanOrEqual(10_000);
    expect(now() - started).toBeLessThanOrEqual(10_021);
  });

  it('gives several who ask at once their time one after the other', async () => {
    const limit = new RateLimit(1000, systemClock);
    const done: number[] = [];
    const all = [1, 2, 3].map((n) => limit.pass(1000, NEVER).then(() => done.push(n)));
    await vi.advanceTimersByTimeAsync(1999);
    expect(done).toEqual([1]);
    await vi.advanceTimersByTimeAsync(1001);
    await Promise.all(all);
    expect(done).toEqual([1, 2, 3]);
  });

  it('ends a wait as soon as it is cancelled, with the reason', async () => {
    const limit = new RateLimit(1000, systemClock);
    const stop = new AbortController();
    // Longer than one timer can be.
    const waiting = limit.pass(1e13, stop.signal);
    await vi.advanceTimersByTimeAsync(3e9);
    expect(vi.getTimerCount()).toBe(1);
    stop.abort(new BackupError('CANCELLED', 'asked to stop'));
    await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED', message: 'asked to stop' });
    expect(vi.getTimerCount()).toBe(0);
    await expect(limit.pass(0, stop.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it.each([0, -1, NaN])('refuses a rate of %d', (rate) => {
    expect(() => new RateLimit(rate, systemClock)).toThrow(RangeError);
  });
});
