import { expect, it } from 'vitest';
import { isNotFound } from '../errors.ts';
import type { StorageBackend } from '../port.ts';
import { keysOf, patterned } from './samples.ts';
import type { Subject } from './subject.ts';

const SIZES = [1_500_000, 900_000, 2_100_000] as const;

/** A body whose every byte tells which one it is, so that a mixture of two shows. */
function uniform(which: number): Uint8Array {
  return new Uint8Array(SIZES[which % SIZES.length] ?? 0).fill(which % SIZES.length);
}

function isWhole(bytes: Uint8Array): boolean {
  const which = bytes[0] ?? -1;
  return bytes.length === SIZES[which] && Buffer.compare(bytes, uniform(which)) === 0;
}

/** Reads and lists `key` until `finished`; resolves to how many whole objects it saw. Throws on a part of one. */
async function watch(backend: StorageBackend, key: string, finished: () => boolean): Promise<number> {
  let seen = 0;
  const folder = key.slice(0, key.lastIndexOf('/') + 1);
  do {
    try {
      const bytes = await backend.get(key);
      if (!isWhole(bytes)) throw new Error(`A part of an object was read: ${bytes.length} bytes`);
      seen++;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    for await (const info of backend.list(folder)) {
      if (info.key !== key) throw new Error(`A stray object was listed: ${info.key}`);
      if (!SIZES.some((size) => size === info.size)) throw new Error(`A part was listed: ${info.size} bytes`);
    }
    await new Promise(setImmediate);
  } while (!finished());
  return seen;
}

export function describeConcurrency(s: Subject): void {
  it('shows readers whole objects only, while they are put for the first time and replaced', async () => {
    const other = (await s.medium.reopen?.()) ?? s.backend;
    let finished = false;
    const watchers = [watch(s.backend, 'w/object', () => finished), watch(other, 'w/object', () => finished)];
    const writing = (async () => {
      for (let n = 0; n < 12; n++) {
        await s.backend.put('w/object', uniform(n));
        await new Promise(setImmediate);
      }
    })().finally(() => {
      finished = true;
    });
    const [, ...seen] = await Promise.all([writing, ...watchers]);
    for (const count of seen) expect(count).toBeGreaterThan(0);
  });

  it('leaves one whole body after concurrent puts of one key', async () => {
    const other = (await s.medium.reopen?.()) ?? s.backend;
    const puts = Array.from({ length: 8 }, (_, n) => (n % 2 ? other : s.backend).put('same/key', uniform(n)));
    expect(await Promise.all(puts)).toEqual(new Array(8).fill(true));
    expect(isWhole(await s.backend.get('same/key'))).toBe(true);
    expect(await keysOf(s.backend, 'same/')).toEqual(['same/key']);
  });

  it('has one winner in each of 30 six-way ifAbsent races, and its bytes stay', async () => {
    const other = (await s.medium.reopen?.()) ?? s.backend;
    for (let race = 0; race < 30; race++) {
      const key = `races/${race}`;
      const bodies = Array.from({ length: 6 }, (_, n) => patterned(1000 + n, race * 6 + n));
      const won = await Promise.all(
        bodies.map((body, n) => (n % 2 ? other : s.backend).put(key, body, { ifAbsent: true })),
      );
      const winners = bodies.filter((_, n) => won[n]);
      if (s.backend.capabilities.atomicIfAbsent) expect(winners).toHaveLength(1);
      else expect(winners.length).toBeGreaterThan(0);
      const stored = await s.backend.get(key);
      expect(winners.some((body) => Buffer.compare(body, stored) === 0)).toBe(true);
    }
    expect(await keysOf(s.backend, 'races/')).toHaveLength(30);
  });

  it('finishes a put and a delete of one key in one of the two orders', async () => {
    for (let n = 0; n < 10; n++) {
      await s.backend.put('pd', uniform(0));
      await Promise.all([s.backend.delete('pd'), s.backend.put('pd', uniform(1))]);
      const info = await s.backend.stat('pd');
      expect([undefined, SIZES[1]]).toContain(info?.size);
    }
  });
}
