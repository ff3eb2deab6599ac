import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BufferPool } from './buffer-pool.ts';

const MIB = 1024 * 1024;

describe('buffers that are used again', () => {
  it('are never held by two at once, and have the length that was asked for', () => {
    const step = fc.oneof(fc.integer({ min: 1, max: 22 * MIB }), fc.constant('give' as const));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const pool = new BufferPool();
        const held: Buffer[] = [];
        for (const what of steps) {
          if (what === 'give') {
            const buffer = held.shift();
            if (buffer !== undefined) pool.give(buffer);
            continue;
          }
          const taken = pool.take(what);
          expect(taken).toHaveLength(what);
          expect(held.some(({ buffer }) => buffer === taken.buffer)).toBe(false);
          held.push(taken);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('come back for a length that fits, two packs and 32 MiB of others', () => {
    const pool = new BufferPool();
    const chunk = pool.take(3 * MIB);
    pool.give(chunk);
    expect(pool.take(4 * MIB).buffer).toBe(chunk.buffer);
    const packs = Array.from({ length: 3 }, () => pool.take(18 * MIB));
    for (const pack of packs) pool.give(pack);
    const again = Array.from({ length: 3 }, () => pool.take(17 * MIB));
    expect(again.filter(({ buffer }) => packs.some((pack) => pack.buffer === buffer))).toHaveLength(2);
  });
});
