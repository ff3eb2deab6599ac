import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { closest, editDistance } from './suggest.ts';

const KEYS = [
  'application',
  'repository',
  'components',
  'copies',
  'schedules',
  'retention',
  'keyFile',
  'daily',
  'path',
];

describe('did you mean', () => {
  it.each([
    ['compnents', 'components'],
    ['component', 'components'],
    ['Retention', 'retention'],
    ['retnetion', 'retention'],
    ['schedule', 'schedules'],
    ['key_file', 'keyFile'],
    ['key-file', 'keyFile'],
    ['dialy', 'daily'],
    ['pth', 'path'],
  ])('%s → %s', (word, meant) => {
    expect(closest(word, KEYS)).toBe(meant);
  });

  it.each(['', 'x', 'zebra', 'encrypt', 'a'.repeat(1000)])('has no answer for %j', (word) => {
    expect(closest(word, KEYS)).toBeUndefined();
  });

  it('finds any key after one slip', () => {
    const slip = fc.record({
      key: fc.constantFrom(...KEYS),
      at: fc.nat(3),
      kind: fc.constantFrom('drop', 'swap', 'add'),
    });
    fc.assert(
      fc.property(slip, ({ key, at, kind }) => {
        const swapped = key.slice(0, at) + (key[at + 1] ?? '') + (key[at] ?? '') + key.slice(at + 2);
        const word =
          kind === 'drop'
            ? key.slice(0, at) + key.slice(at + 1)
            : kind === 'add'
              ? `${key.slice(0, at)}q${key.slice(at)}`
              : swapped;
        return closest(word, KEYS) === key;
      }),
    );
  });

  it('measures a distance: zero for equals, symmetric, at most the longer length', () => {
    const word = fc.string({ maxLength: 12 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        const distance = editDistance(a, b);
        expect(distance).toBe(editDistance(b, a));
        expect(distance === 0).toBe(a === b);
        expect(distance).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
    expect(editDistance('ab', 'ba')).toBe(1);
    expect(editDistance('kitten', 'sitting')).toBe(3);
  });
});
