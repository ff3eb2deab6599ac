import fc from 'fast-check';
import { expect, it } from 'vitest';
import { attachment } from './attachment.ts';

it.each([
  ['plain.zip', `attachment; filename="plain.zip"; filename*=UTF-8''plain.zip`],
  ['ogórek (1).zip', `attachment; filename="og_rek (1).zip"; filename*=UTF-8''og%C3%B3rek%20%281%29.zip`],
  ['a"b\\c\r\nX: y', `attachment; filename="a_b_c__X: y"; filename*=UTF-8''a%22b%5Cc%0D%0AX%3A%20y`],
])('%j is told to a browser', (name, expected) => {
  expect(attachment(name)).toBe(expected);
});

it('any name is one header, which gives the name back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (name) => {
      const value = attachment(name);
      expect(value).toMatch(/^attachment; filename="[\x20-\x7e]*"; filename\*=UTF-8''[\x21-\x7e]*$/);
      expect(decodeURIComponent(value.slice(value.indexOf("''") + 2))).toBe(name.toWellFormed());
    }),
  );
});
