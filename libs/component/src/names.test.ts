import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BackupError } from '@foodsave-backup/kernel';
import { assertLayoutPath, compareLayoutPaths, decodeName, encodeName, layoutPath, livePath } from './index.ts';

describe('names', () => {
  it('gives every byte string exactly one string and back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(Buffer.compare(encodeName(decodeName(bytes)), bytes)).toBe(0);
      }),
      { numRuns: 2000 },
    );
  });

  it('agrees with PEP 383', () => {
    expect(decodeName(Buffer.from('caf\xe9', 'latin1'))).toBe('caf\udce9');
    expect(decodeName(Buffer.from([0xed, 0xb2, 0x80]))).toBe('\udced\udcb2\udc80');
    expect(decodeName(Buffer.from('żółw 🐢'))).toBe('żółw 🐢');
  });

  it('orders paths as a walk does: by the bytes of each name', () => {
    const paths = ['a', 'a/b', 'a/b/c', 'a.b', 'a0', 'b', '\udcff', '\u{1f422}'].sort(compareLayoutPaths);
    expect(paths).toEqual(['a', 'a/b', 'a/b/c', 'a.b', 'a0', 'b', '\u{1f422}', '\udcff']);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6 }), fc.uint8Array({ maxLength: 6 }), (a, b) => {
        fc.pre(!a.includes(0x2f) && !b.includes(0x2f));
        expect(Math.sign(compareLayoutPaths(decodeName(a), decodeName(b)))).toBe(Buffer.compare(a, b));
      }),
    );
  });

  it.each([
    '',
    '/etc/passwd',
    '../x',
    'a/../b',
    'a//b',
    'a/',
    './a',
    'a/.',
    'a\0b',
    '\ud800',
    'x'.repeat(256),
    'd/'.repeat(140_000) + 'x',
    '\udcc3\udca9',
  ])('refuses the path %j', (path) => {
    expect(() => {
      assertLayoutPath(path);
    }).toThrow(BackupError);
  });

  it.each(['a', 'a/b.c', '..a', '...', 'a b', '\udce9', 'ż'.repeat(127), '_outside/etc/x'])(
    'accepts the path %j',
    (path) => {
      assertLayoutPath(path);
    },
  );
});

describe('layout', () => {
  it('is relative inside the base directory and absolute outside it', () => {
    expect(layoutPath('/srv/app', '/srv/app/data/x')).toBe('data/x');
    expect(layoutPath('/srv/app', '/srv/application/x')).toBe('_outside/srv/application/x');
    expect(layoutPath('/srv/app', '/srv/app')).toBe('');
    expect(layoutPath('/', '/etc/x')).toBe('etc/x');
  });

  it('keeps names apart that would collide with its own', () => {
    expect(layoutPath('/srv/app', '/srv/app/_outside/x')).toBe('_outside/srv/app/_outside/x');
    expect(layoutPath('/srv/app', '/srv/app/_environment')).toBe('_outside/srv/app/_environment');
    expect(() => livePath('/srv/app', '_environment/config.env')).toThrow(/no live path/);
  });

  it('comes back to the same live path', () => {
    const name = fc.constantFrom('a', 'b', '_outside', '_environment', 'x.y');
    fc.assert(
      fc.property(fc.array(name, { maxLength: 3 }), fc.array(name, { maxLength: 5 }), (base, path) => {
        const baseDir = `/${base.join('/')}`;
        const live = `/${path.join('/')}`;
        expect(livePath(baseDir, layoutPath(baseDir, live))).toBe(live);
      }),
    );
  });
});
