import { systemClock } from '@foodsave-backup/kernel';
import { describe, expect, it } from 'vitest';
import { SimulatedClock } from './index.ts';

describe('SimulatedClock', () => {
  it('wakes sleepers at their own moments, in order, and again within one advance', async () => {
    const clock = new SimulatedClock({ start: 1000 });
    const woken: string[] = [];
    const every = async (name: string, ms: number, times: number): Promise<void> => {
      for (let n = 0; n < times; n++) {
        await clock.sleep(ms);
        woken.push(`${name}@${clock.now()}`);
      }
    };
    const all = Promise.all([every('slow', 50, 1), every('fast', 20, 3)]);
    await clock.advance(49);
    expect(woken).toEqual(['fast@1020', 'fast@1040']);
    expect([clock.now(), clock.monotonic(), clock.sleeping]).toEqual([1049, 49, 2]);
    await clock.advance(11);
    await all;
    expect(woken).toEqual(['fast@1020', 'fast@1040', 'slow@1050', 'fast@1060']);
  });

  it('goes on with set() and wakes, goes back without waking, and jumps without time passing', async () => {
    const clock = new SimulatedClock({ start: 10_000 });
    const sleep = clock.sleep(5000);
    clock.jump(60_000);
    await clock.set(9000);
    expect([clock.now(), clock.monotonic(), clock.sleeping]).toEqual([9000, 0, 1]);
    await clock.set(14_000);
    await sleep;
    expect([clock.now(), clock.monotonic()]).toEqual([14_000, 5000]);
    await expect(clock.advance(-1)).rejects.toThrow(RangeError);
  });

  it('rejects a sleep whose signal fires as the system clock does', async () => {
    const reason = new Error('stop');
    for (const clock of [new SimulatedClock(), systemClock]) {
      await expect(clock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason);
      const controller = new AbortController();
      const sleep = clock.sleep(60_000, controller.signal);
      controller.abort(reason);
      await expect(sleep).rejects.toBe(reason);
    }
  });

  it('tells when somebody sleeps, and can move on by itself', async () => {
    const clock = new SimulatedClock();
    const told = clock.untilSleeping(2);
    const sleeps = [clock.sleep(1), clock.sleep(2)];
    await told;
    await clock.advance(2);
    await Promise.all(sleeps);
    const auto = new SimulatedClock({ start: 0, autoAdvance: true });
    await auto.sleep(1500);
    expect(auto.now()).toBe(1500);
  });
});
