import fc from 'fast-check';
import { SimulatedClock } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
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
  it('lets no time pass more than its rate and what a tenth of a second saved', async () => {
    const step = fc.record({ idle: fc.nat(3000), bytes: fc.nat(40_000) });
    const property = fc.asyncProperty(
      fc.integer({ min: 1000, max: 50_000 }),
      fc.array(step, { maxLength: 40 }),
      async (rate, steps) => {
        const clock = new SimulatedClock({ autoAdvance: true });
        const limit = new RateLimit(rate, clock);
        const passed: { at: number; bytes: number }[] = [];
        for (const { idle, bytes } of steps) {
          await clock.sleep(idle);
          await limit.pass(bytes, NEVER);
          passed.push({ at: clock.monotonic(), bytes });
        }
        for (const [i, first] of passed.entries()) {
          let sum = 0;
          for (const { at, bytes } of passed.slice(i + 1)) {
            sum += bytes;
            expect(sum).toBeLessThanOrEqual(rate * ((at - first.at) / 1000 + 0.1) + 1e-6);
          }
        }
      },
    );
    await fc.assert(property);
  });

  it('is reached by whoever never pauses: timers that come late take nothing away', async () => {
    const clock = new SimulatedClock({ autoAdvance: true });
    const late = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      sleep: (ms: number) => clock.sleep(ms + 20),
    };
    const limit = new RateLimit(1_000_000, late);
    for (let i = 0; i < 100; i++) await limit.pass(100_000, NEVER);
    expect(clock.monotonic()).toBeGreaterThanOrEqual(10_000);
    expect(clock.monotonic()).toBeLessThanOrEqual(10_021);
  });

  it('gives several who ask at once their time one after the other', async () => {
    const clock = new SimulatedClock();
    const limit = new RateLimit(1000, clock);
    const done: number[] = [];
    const all = [1, 2, 3].map((n) => limit.pass(1000, NEVER).then(() => done.push(n)));
    await clock.advance(1999);
    expect(done).toEqual([1]);
    await clock.advance(1001);
    await Promise.all(all);
    expect(done).toEqual([1, 2, 3]);
  });

  it('ends a wait as soon as it is cancelled, with the reason', async () => {
    const clock = new SimulatedClock();
    const limit = new RateLimit(1000, clock);
    const stop = new AbortController();
    const waiting = limit.pass(1e9, stop.signal);
    await clock.untilSleeping();
    stop.abort(new BackupError('CANCELLED', 'asked to stop'));
    await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED', message: 'asked to stop' });
    expect(clock.sleeping).toBe(0);
    await expect(limit.pass(0, stop.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it.each([0, -1, NaN])('refuses a rate of %d', (rate) => {
    expect(() => new RateLimit(rate, new SimulatedClock())).toThrow(RangeError);
  });
});
