import fc from 'fast-check';
import { BackupError, RateLimit, systemClock } from '@foodsave-backup/kernel';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MemoryStorage, withUploadLimit } from '../index.ts';
import type { StorageBackend } from '../index.ts';

const RATE = 1000;
const now = (): number => systemClock.monotonic();
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Over a medium that writes down when each object came, and takes `ms` for it. */
function limited(ms = 0) {
  const stop = new AbortController();
  const memory = new MemoryStorage();
  const puts: { key: string; at: number; bytes: number }[] = [];
  const inner: StorageBackend = {
    capabilities: memory.capabilities,
    location: memory.location,
    put: async (key, body, options) => {
      puts.push({ key, at: now(), bytes: body.length });
      if (ms > 0) await systemClock.sleep(ms);
      return memory.put(key, body, options);
    },
    get: (key, range, options) => memory.get(key, range, options),
    stat: (key) => memory.stat(key),
    list: (prefix) => memory.list(prefix),
    keys: (prefix) => memory.keys(prefix),
    delete: (key) => memory.delete(key),
    close: () => memory.close(),
  };
  const limit = new RateLimit(RATE, systemClock);
  const exempt = (key: string): boolean => key.startsWith('locks/');
  const backend = withUploadLimit(inner, { limit, signal: stop.signal, exempt });
  return { memory, puts, stop, backend };
}

const body = (bytes: number): Uint8Array => new Uint8Array(bytes);

describe('a limit for uploads', () => {
  it('makes what is sent take its time, one after the other and all at once', async () => {
    const sizes = fc.array(fc.nat(5000), { minLength: 1, maxLength: 12 });
    const property = fc.asyncProperty(sizes, fc.boolean(), fc.nat(2000), async (lengths, atOnce, ms) => {
      const { backend, puts } = limited(ms);
      const started = now();
      let endedAt = 0;
      const work = lengths.map((length, i) => async () => {
        await backend.put(`k/${i}`, body(length));
        endedAt = now();
      });
      const ended = atOnce
        ? Promise.all(work.map((put) => put()))
        : (async () => {
            for (const put of work) await put();
          })();
      await pass(100_000);
      await ended;
      const all = lengths.reduce((sum, length) => sum + length, 0);
      expect(endedAt - started).toBeGreaterThanOrEqual((all / RATE) * 1000 - 1e-6);
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
    const { backend } = limited(1900);
    const started = now();
    let endedAt = 0;
    const work = (async () => {
      for (const key of ['a', 'b', 'c']) await backend.put(key, body(2000));
      endedAt = now();
    })();
    await pass(10_000);
    await work;
    expect(endedAt - started).toBe(6000);
  });

  it('lets a lease through while a pack waits', async () => {
    const { backend, puts } = limited();
    const packs = ['files/one.pack', 'files/two.pack'].map((key) => backend.put(key, body(60_000)));
    await pass(1000);
    expect(await backend.put('locks/me.json', body(500))).toBe(true);
    expect(puts.map(({ key }) => key)).toEqual(['files/one.pack', 'locks/me.json']);
    await pass(119_000);
    expect(await Promise.all(packs)).toEqual([true, true]);
  });

  it('cancelled: what waits is not sent, what is durable counts, and nothing waits any more', async () => {
    const { backend, memory, stop } = limited();
    const sent = backend.put('sent', body(60_000));
    const waiting = backend.put('waiting', body(60_000));
    await pass(1000);
    const refused = expect(waiting).rejects.toMatchObject({ code: 'CANCELLED', message: 'stop' });
    stop.abort(new BackupError('CANCELLED', 'stop'));
    await refused;
    await expect(sent).resolves.toBe(true);
    await expect(backend.put('late', body(1))).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(vi.getTimerCount()).toBe(0);
    expect([await memory.stat('sent'), await memory.stat('waiting'), await memory.stat('late')]).toMatchObject([
      { size: 60_000 },
      undefined,
      undefined,
    ]);
  });

  it('ends with the signal of one put, and with a failure of the medium', async () => {
    const { backend, memory } = limited();
    const first = backend.put('first', body(5000));
    const own = new AbortController();
    const second = backend.put('second', body(5000), { signal: own.signal });
    await pass(100);
    own.abort();
    await expect(second).rejects.toMatchObject({ code: 'CANCELLED' });
    const third = expect(backend.put('.tmp-bad', body(10))).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    await pass(10_000);
    await third;
    await expect(first).resolves.toBe(true);
    expect(await memory.stat('second')).toBeUndefined();
  });

  it('keeps an existing object where it was asked to', async () => {
    const { backend } = limited();
    const both = [1, 2].map((bytes) => backend.put('k', body(bytes), { ifAbsent: true }));
    await pass(1000);
    expect(await Promise.all(both)).toEqual([true, false]);
  });
});
