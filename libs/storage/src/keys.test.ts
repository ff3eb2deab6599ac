import { posix } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isKey } from './index.ts';

const piece = fc.constantFrom('a', '.', '..', '/', '-', '_', '9', 'Z', '\\', ' ', '\0', 'é', '.tmp-', '%2e', '//');

describe('keys', () => {
  it('never lead out of their root, whatever they are made of', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const key = pieces.join('');
        if (!isKey(key)) return;
        expect(posix.join('/root/', key)).toBe(`/root/${key}`);
        expect(Buffer.byteLength(key)).toBe(key.length);
      }),
      { numRuns: 2000 },
    );
  });
});
