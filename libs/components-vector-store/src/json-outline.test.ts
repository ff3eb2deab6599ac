import fc from 'fast-check';
import { expect, it } from 'vitest';
import { JsonOutline, type Member, type Outline } from './json-outline.ts';

function read(text: string | Buffer, piece = Infinity): Outline {
  const bytes = Buffer.from(text);
  const outline = new JsonOutline();
  for (let at = 0; at < bytes.length; at += Math.min(piece, bytes.length)) {
    outline.push(bytes.subarray(at, at + Math.min(piece, bytes.length)));
  }
  return outline.finish();
}

function memberOf(value: unknown): Member {
  if (Array.isArray(value)) return { kind: 'array', length: value.length };
  if (typeof value === 'object' && value !== null) return { kind: 'object', length: Object.keys(value).length };
  if (typeof value === 'number') return { kind: 'number', value };
  return typeof value === 'string' ? { kind: 'string', value } : { kind: 'literal' };
}

/** The same from JSON.parse. */
function expected(value: unknown): Outline {
  if (Array.isArray(value)) return { kind: 'array', length: value.length };
  if (typeof value !== 'object' || value === null) return { kind: 'scalar' };
  return { kind: 'object', members: new Map(Object.entries(value).map(([key, member]) => [key, memberOf(member)])) };
}

it('sees what JSON.parse sees, in pieces of any size', () => {
  fc.assert(
    fc.property(
      fc.jsonValue({ maxDepth: 4 }),
      fc.constantFrom(undefined, 1, '\t'),
      fc.integer({ min: 1, max: 20 }),
      (value, space, piece) => {
        const text = JSON.stringify(value, null, space);
        expect(read(text, piece)).toEqual(expected(JSON.parse(text)));
      },
    ),
    { numRuns: 3000 },
  );
});

it('refuses what JSON.parse refuses: a document with one byte put in, taken out or changed', () => {
  const bytes = fc.constantFrom(...Buffer.from('{}[]":,\\0123456789-+.eEtfnu \n\x01a'));
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), fc.nat(), bytes, fc.constantFrom(0, 1, 2), (value, where, byte, how) => {
      const text = Buffer.from(JSON.stringify(value));
      const at = where % text.length;
      const tail = text.subarray(how === 0 ? at : at + 1);
      const changed = Buffer.concat([text.subarray(0, at), how === 2 ? Buffer.alloc(0) : Buffer.from([byte]), tail]);
      let parsed: unknown;
      try {
        parsed = JSON.parse(changed.toString('utf8'));
      } catch {
        expect(() => read(changed, 3)).toThrow(SyntaxError);
        return;
      }
      // Names that come twice are counted twice; nothing else is told apart.
      expect(read(changed, 3).kind).toBe(expected(parsed).kind);
    }),
    { numRuns: 5000 },
  );
});

it.each([
  '',
  ' ',
  '01',
  '1.',
  '-',
  '.5',
  '1e',
  '[1,]',
  '{"a":1,}',
  '{"a"}',
  '"\\x"',
  '"\\u12g4"',
  '[1 2]',
  'tru',
  'nulll',
])('refuses %j', (text) => {
  expect(() => read(text, 1)).toThrow(SyntaxError);
});

it('keeps no text that is longer than any that is looked for', () => {
  const outline = read(
    JSON.stringify({ model: 'm'.repeat(10_000), ids: ['x'.repeat(10_000)], [`k${'k'.repeat(9000)}`]: 1 }),
  );
  const members = outline.kind === 'object' ? outline.members : new Map<string, Member>();
  expect(members.get('model')).toEqual({ kind: 'string', value: undefined });
  expect(members.get('ids')).toEqual({ kind: 'array', length: 1 });
});
