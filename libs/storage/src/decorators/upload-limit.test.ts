import fc from 'fast-check';
import { BackupError, RateLimit, type Clock } from '@foodsave-backup/kernel';
import { SimulatedClock } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
import { MemoryStorage, withUploadLimit } from '../index.ts';
import type { StorageBackend } from '../index.ts';

const RATE = 1000;

/** A medium that writes down when each object came, and takes `ms` for it. */
function medium(clock: Clock, ms = 0) {
  const memory = new MemoryStorage();
  const puts: { key: string; at: number; bytes: number }[] = [];
  const backend: StorageBackend = {
    capabilities: memory.capabilities,
    location: memory.location,
    put: async (key, body, options) => {
      puts.push({ key, at: clock.monotonic(), bytes: body.length });
      await clock.sleep(ms);
      return memory.put(key, body, options);
    },
    get: (key, range, options) => memory.get(key, range, options),
    stat: (key) => memory.stat(key),
    list: (prefix) => memory.list(prefix),
    delete: (key) => memory.delete(key),
    close: () => memory.close(),
  };
  return { memory, puts, backend };
}

function limited(clock: Clock, ms?: number) {
  const stop = new AbortController();
  const inner = medium(clock, ms);
  const limit = new RateLimit(RATE, clock);
  const exempt = (key: string): boolean => key.startsWith('locks/');
  return { ...inner, stop, backend: withUploadLimit(inner.backend, { limit, signal: stop.signal, exempt }) };
}

const body = (bytes: number): Uint8Array => new Uint8Array(bytes);

describe('a limit for uploads', () => {
  it('makes what is sent take its time, one after the other and all at once', async () => {
    const sizes = fc.array(fc.nat(5000), { minLength: 1, maxLength: 12 });
    const property = fc.asyncProperty(sizes, fc.boolean(), fc.nat(2000), async (lengths, atOnce, ms) => {
      const clock = new SimulatedClock();
      const { backend, puts } = limited(clock, ms);
      let endedAt = 0;
      const work = lengths.map((length, i) => async () => {
        await backend.put(`k/${i}`, body(length));
        endedAt = clock.monotonic();
      });
      const ended = atOnce
        ? Promise.all(work.map((put) => put()))
        : (async () => {
            for (const put of work) await put();
          })();
      await clock.advance(100_000);
      await ended;
      const all = lengths.reduce((sum, length) => sum + length, 0);
      expect(endedAt).toBeGreaterThanOrEqual((all / RATE) * 1000 - 1e-6);
      // From the start of one object to that of a later one: the time of all between, and of the first of them.
      for (const [i, first] of puts.entries()) {
        let between = 0;
        for (const later of puts.slice(i)) {
          expect(between).toBeLessThanOrEqual(RATE * ((later.at - first.at) / 1000 + 0.1) + 1e-6);
          between += later.bytes;
        }
      }
    });
    await fc.assert(property);
  });

  it('sends at the beginning of the time, so that a slow medium is not waited for twice', async () => {
    const clock = new SimulatedClock({ autoAdvance: true });
    const { backend } = limited(clock, 1900);
    for (const key of ['a', 'b', 'c']) await backend.put(key, body(2000));
    expect(clock.monotonic()).toBe(6000);
  });

  it('lets a lease through while a pack waits', async () => {
    const clock = new SimulatedClock();
    const { backend, puts } = limited(clock);
    const first = backend.put('files/one.pack', body(60_000));
    const second = backend.put('files/two.pack', body(60_000));
    await clock.untilSleeping(2);
    const lease = backend.put('locks/me.json', body(500));
    await clock.advance(0);
    await expect(lease).resolves.toBe(true);
    expect(puts.map(({ key }) => key)).toEqual(['files/one.pack', 'locks/me.json']);
    await clock.advance(120_000);
    expect(await Promise.all([first, second])).toEqual([true, true]);
  });

  it('cancelled: what waits is not sent, what is durable counts, and nothing sleeps any more', async () => {
    const clock = new SimulatedClock();
    const { backend, memory, stop } = limited(clock);
    const sent = backend.put('sent', body(60_000));
    const waiting = backend.put('waiting', body(60_000));
    await clock.advance(1000);
    const refused = expect(waiting).rejects.toMatchObject({ code: 'CANCELLED', message: 'stop' });
    stop.abort(new BackupError('CANCELLED', 'stop'));
    await refused;
    await expect(sent).resolves.toBe(true);
    await expect(backend.put('late', body(1))).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(clock.sleeping).toBe(0);
    expect([await memory.stat('sent'), await memory.stat('waiting'), await memory.stat('late')]).toMatchObject([
      { size: 60_000 },
      undefined,
      undefined,
    ]);
  });

  it('passes the signal of one put, and the failures of the medium, at once', async () => {
    const clock = new SimulatedClock();
    const { backend, memory } = limited(clock);
    const first = backend.put('first', body(5000));
    const own = new AbortController();
    const second = backend.put('second', body(5000), { signal: own.signal });
    await clock.untilSleeping(2);
    own.abort();
    await expect(second).rejects.toMatchObject({ code: 'CANCELLED' });
    await clock.advance(5000);
    await expect(first).resolves.toBe(true);
    const third = backend.put('.tmp-bad', body(10));
    const refused = expect(third).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    await clock.advance(5000);
    await refused;
    expect(await memory.stat('second')).toBeUndefined();
  });

  it('keeps an existing object where it was asked to', async () => {
    const { backend } = limited(new SimulatedClock({ autoAdvance: true }));
    expect(await backend.put('k', body(1), { ifAbsent: true })).toBe(true);
    expect(await backend.put('k', body(2), { ifAbsent: true })).toBe(false);
  });
});
