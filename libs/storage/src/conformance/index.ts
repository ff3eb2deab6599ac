import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_OBJECT_BYTES } from '../port.ts';
import { describeConcurrency } from './concurrency.ts';
import type { ConformanceMedium, Subject } from './subject.ts';
import { collect, INVALID_KEYS, INVALID_PREFIXES, keysOf, patterned, titleOf, VALID_KEYS } from './samples.ts';

/**
 * The contract of `StorageBackend` as a vitest suite; every backend and every decorator passes the same one.
 * `makeMedium` is called before each test.
 */
export function storageConformance(name: string, makeMedium: () => Promise<ConformanceMedium>): void {
  describe(`storage conformance: ${name}`, () => {
    let medium: ConformanceMedium;
    const subject: Subject = {
      get backend() {
        return medium.backend;
      },
      get medium() {
        return medium;
      },
    };
    beforeEach(async () => {
      medium = await makeMedium();
    });
    afterEach(async () => {
      await medium.backend.close();
      await medium.dispose?.();
    });

    describeObjects(subject);
    describeRanges(subject);
    describeListings(subject);
    describeKeys(subject);
    describeConcurrency(subject);
  });
}

function describeObjects(s: Subject): void {
  it('gives back what was put, also through another door', async () => {
    const body = patterned(100_003, 1);
    expect(await s.backend.put('files/one', body)).toBe(true);
    expect(await s.backend.get('files/one')).toEqual(body);
    const other = (await s.medium.reopen?.()) ?? s.backend;
    expect(await other.get('files/one')).toEqual(body);
    expect(await other.stat('files/one')).toMatchObject({ key: 'files/one', size: 100_003 });
  });

  it('keeps an empty object, which is not an absent one', async () => {
    await s.backend.put('empty', new Uint8Array(0));
    expect(await s.backend.get('empty')).toEqual(new Uint8Array(0));
    expect(await s.backend.stat('empty')).toMatchObject({ key: 'empty', size: 0 });
    expect(await s.backend.put('empty', patterned(1, 2), { ifAbsent: true })).toBe(false);
  });

  it('keeps an object of 10 MB', async () => {
    const body = patterned(10_000_000, 3);
    await s.backend.put('large', body);
    expect(Buffer.compare(await s.backend.get('large'), body)).toBe(0);
  });

  it('refuses an object of more than 64 MiB and keeps nothing of it', async () => {
    await expect(s.backend.put('huge', new Uint8Array(MAX_OBJECT_BYTES + 1))).rejects.toMatchObject({
      code: 'VALIDATION_FAILED',
    });
    expect(await s.backend.stat('huge')).toBeUndefined();
  });

  it('overwrites with longer and shorter bodies', async () => {
    for (const size of [10, 5000, 3, 0, 70_000]) {
      expect(await s.backend.put('a/b', patterned(size, size))).toBe(true);
      expect(await s.backend.get('a/b')).toEqual(patterned(size, size));
    }
    expect(await keysOf(s.backend, 'a/')).toEqual(['a/b']);
  });

  it('never replaces with ifAbsent', async () => {
    expect(await s.backend.put('lock', patterned(9, 1), { ifAbsent: true })).toBe(true);
    expect(await s.backend.put('lock', patterned(8, 2), { ifAbsent: true })).toBe(false);
    expect(await s.backend.get('lock')).toEqual(patterned(9, 1));
    await s.backend.delete('lock');
    expect(await s.backend.put('lock', patterned(7, 3), { ifAbsent: true })).toBe(true);
    expect(await s.backend.get('lock')).toEqual(patterned(7, 3));
  });

  it('holds its own bytes: neither side sees the other change its buffer', async () => {
    // Buffers from the pool share one ArrayBuffer, and their slice() copies nothing.
    const body = Buffer.from('a small body');
    await s.backend.put('copy', body);
    body.fill(0);
    const first = await s.backend.get('copy');
    expect(Buffer.from(first).toString()).toBe('a small body');
    first.fill(0);
    expect(Buffer.from(await s.backend.get('copy')).toString()).toBe('a small body');
  });

  it('tells the time of the last put in milliseconds', async () => {
    await s.backend.put('timed', patterned(1, 1));
    const info = await s.backend.stat('timed');
    expect(Number.isInteger(info?.modifiedAt)).toBe(true);
    const [listed] = await collect(s.backend.list(''));
    expect(listed).toEqual(info);
  });

  it('says that an object is absent', async () => {
    await s.backend.put('there/x', patterned(1, 1));
    for (const key of ['absent', 'no/such/folder', 'there', 'there/y', 'there/x/below']) {
      expect(await s.backend.stat(key)).toBeUndefined();
      await expect(s.backend.get(key)).rejects.toMatchObject({ code: 'IO_ERROR', details: { notFound: true } });
      await expect(s.backend.get(key, { offset: 0, length: 1 })).rejects.toMatchObject({ details: { notFound: true } });
    }
  });

  it('deletes, and deletes what is absent', async () => {
    await s.backend.delete('never/was');
    await s.backend.put('a/b', patterned(5, 1));
    await s.backend.put('a/c', patterned(5, 2));
    await s.backend.delete('a/b');
    await s.backend.delete('a/b');
    await s.backend.delete('a');
    expect(await s.backend.stat('a/b')).toBeUndefined();
    expect(await keysOf(s.backend, 'a/')).toEqual(['a/c']);
    expect(await s.backend.get('a/c')).toEqual(patterned(5, 2));
  });

  it('does nothing for a signal that has fired', async () => {
    const signal = AbortSignal.abort();
    await expect(s.backend.put('x', patterned(5, 1), { signal })).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await s.backend.stat('x')).toBeUndefined();
    await s.backend.put('x', patterned(5, 1));
    await expect(s.backend.get('x', undefined, { signal })).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('closes more than once', async () => {
    await s.backend.close();
    await s.backend.close();
  });
}

function describeRanges(s: Subject): void {
  it('reads exact ranges', async () => {
    const body = patterned(10_000, 5);
    await s.backend.put('r', body);
    for (const [offset, length] of [
      [0, 1],
      [0, 10_000],
      [9999, 1],
      [10_000, 0],
      [0, 0],
      [1234, 5678],
    ] as const) {
      expect(await s.backend.get('r', { offset, length })).toEqual(body.slice(offset, offset + length));
      for (const into of [new Uint8Array(length + 7).fill(9), new Uint8Array(length >> 1)]) {
        const found = await s.backend.get('r', { offset, length }, { into });
        expect(Buffer.compare(found, body.subarray(offset, offset + length))).toBe(0);
        // Nothing behind the answer was touched.
        if (into.length > length) expect(into.subarray(length)).toEqual(new Uint8Array(7).fill(9));
      }
    }
  });

  it('refuses a range that is not all there', async () => {
    await s.backend.put('r', patterned(100, 6));
    for (const [offset, length] of [
      [0, 101],
      [100, 1],
      [99, 2],
      [1000, 0],
      [-1, 5],
      [0, -1],
      [0.5, 1],
      [0, NaN],
      [2 ** 53, 1],
    ] as const) {
      await expect(s.backend.get('r', { offset, length })).rejects.toMatchObject({ code: 'IO_ERROR' });
    }
  });
}

function describeListings(s: Subject): void {
  it('lists one folder and not what lies deeper', async () => {
    const keys = ['top', 'index/a', 'index/b', 'index/deep/c', 'index-2/d', 'indexed', 'x/y/z'];
    for (const [n, key] of keys.entries()) await s.backend.put(key, patterned(n, n));
    expect(await keysOf(s.backend, '')).toEqual(['indexed', 'top']);
    expect(await keysOf(s.backend, 'index/')).toEqual(['index/a', 'index/b']);
    expect(await keysOf(s.backend, 'index/deep/')).toEqual(['index/deep/c']);
    expect(await keysOf(s.backend, 'x/')).toEqual([]);
    expect(await keysOf(s.backend, 'x/y/')).toEqual(['x/y/z']);
    const sizes = (await collect(s.backend.list('index/'))).map((info) => [info.key, info.size]);
    expect((await s.backend.keys('index/')).sort()).toEqual(sizes.map(([key]) => key).sort());
    expect(sizes.sort()).toEqual([
      ['index/a', 1],
      ['index/b', 2],
    ]);
  });

  it('lists nothing where there is nothing', async () => {
    expect(await keysOf(s.backend, '')).toEqual([]);
    expect(await keysOf(s.backend, 'no/such/')).toEqual([]);
    await s.backend.put('file', patterned(1, 1));
    expect(await keysOf(s.backend, 'file/')).toEqual([]);
  });

  it('lists each of many objects once', async () => {
    const keys = Array.from({ length: 300 }, (_, n) => `many/${n.toString(16).padStart(4, '0')}`);
    const left = [...keys];
    const worker = async (): Promise<void> => {
      for (let key = left.pop(); key !== undefined; key = left.pop()) await s.backend.put(key, patterned(7, 7));
    };
    await Promise.all([worker(), worker(), worker(), worker(), worker(), worker(), worker(), worker()]);
    expect(await keysOf(s.backend, 'many/')).toEqual(keys);
  });

  it('lets the consumer of a listing stop early, and delete while it lists', async () => {
    for (let n = 0; n < 10; n++) await s.backend.put(`d/${n}`, patterned(1, n));
    for await (const info of s.backend.list('d/')) {
      expect(info.key).toMatch(/^d\/[0-9]$/);
      break;
    }
    for await (const info of s.backend.list('d/')) await s.backend.delete(info.key);
    expect(await keysOf(s.backend, 'd/')).toEqual([]);
  });
}

function describeKeys(s: Subject): void {
  it.each(VALID_KEYS.map(titleOf))('takes the key %s', async (_title, key) => {
    await s.backend.put(key, patterned(3, 1));
    expect(await s.backend.get(key)).toEqual(patterned(3, 1));
    const folder = key.slice(0, key.lastIndexOf('/') + 1);
    expect(await keysOf(s.backend, folder)).toEqual([key]);
  });

  it.each(INVALID_KEYS.map(titleOf))('refuses the key %s in every operation', async (_title, key) => {
    const refusal = { code: 'VALIDATION_FAILED' };
    await expect(s.backend.put(key, patterned(3, 1))).rejects.toMatchObject(refusal);
    await expect(s.backend.get(key)).rejects.toMatchObject(refusal);
    await expect(s.backend.stat(key)).rejects.toMatchObject(refusal);
    await expect(s.backend.delete(key)).rejects.toMatchObject(refusal);
  });

  it.each(INVALID_PREFIXES)('refuses to list %j', async (prefix) => {
    await expect(collect(s.backend.list(prefix))).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    await expect(s.backend.keys(prefix)).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
  });
}

export type { ConformanceMedium } from './subject.ts';
