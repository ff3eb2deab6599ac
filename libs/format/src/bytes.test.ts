import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader, ByteWriter, numberOf, readFields } from './bytes.ts';
import { attempt, bytesOf, refusal } from './testing/arbitraries.ts';

/** The number that fills these bytes. */
const zigzagIn = (bytes: Buffer): bigint => new ByteReader(bytes).zigzagIn(bytes.length);

const encodeVarint = (n: number): Buffer => new ByteWriter(1).varint(n).finish();
const encodeZigzag = (n: bigint): Buffer => new ByteWriter(1).zigzag(n).finish();

describe('varint', () => {
  it('round-trips every safe integer in its shortest form', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (n) => {
        const bytes = encodeVarint(n);
        expect(bytes.length).toBe(Math.max(1, Math.ceil(n.toString(2).length / 7)));
        expect(numberOf(bytes)).toBe(n);
      }),
    );
  });

  it.each([
    [0, '00'],
    [127, '7f'],
    [128, '8001'],
    [300, 'ac02'],
    [2 ** 32, '8080808010'],
    [Number.MAX_SAFE_INTEGER, 'ffffffffffffff0f'],
  ])('writes %d as %s', (n, hex) => expect(encodeVarint(n).toString('hex')).toBe(hex));

  it('is what it decodes to, whatever the bytes', () => {
    fc.assert(
      fc.property(bytesOf(0, 12), (bytes) => {
        const reader = new ByteReader(bytes);
        const read = attempt(() => reader.varint());
        if ('value' in read) {
          expect(encodeVarint(read.value)).toEqual(bytes.subarray(0, bytes.length - reader.remaining));
        }
      }),
      { numRuns: 3000 },
    );
  });

  it.each(['80', '8000', 'ff00', '8080808080808080808001', 'ffffffffffffffffff01', 'ffffffffffffff1f', ''])(
    'refuses %s: cut off, too long, or over 2^53 - 1',
    (hex) => expect(refusal(() => numberOf(Buffer.from(hex, 'hex')))).toBe('DATA_DAMAGED'),
  );

  it('never writes what is no safe natural number', () => {
    for (const n of [-1, 1.5, 2 ** 53, NaN]) expect(() => encodeVarint(n)).toThrow(RangeError);
  });
});

describe('zigzag', () => {
  it('round-trips every signed 64-bit integer', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), (n) => {
        expect(zigzagIn(encodeZigzag(n))).toBe(n);
      }),
    );
  });

  it.each([
    [0n, '00'],
    [-1n, '01'],
    [1n, '02'],
    [-(1n << 63n), 'ffffffffffffffffff01'],
    [(1n << 63n) - 1n, 'feffffffffffffffff01'],
  ])('writes %d as %s', (n, hex) => expect(encodeZigzag(n).toString('hex')).toBe(hex));

  it.each(['8000', 'ffffffffffffffffff02', 'ffffffffffffffffff7f', 'ffffffffffffffffffff01', ''])('refuses %s', (hex) =>
    expect(refusal(() => zigzagIn(Buffer.from(hex, 'hex')))).toBe('DATA_DAMAGED'),
  );
});

describe('records', () => {
  const fields = fc.array(fc.tuple(fc.nat(1000), bytesOf(0, 40)), { maxLength: 8 });

  it('round-trip in order, with repeated tags', () => {
    fc.assert(
      fc.property(fields, (list) => {
        const writer = new ByteWriter(1);
        for (const [tag, value] of list) writer.field(tag, value);
        expect([...readFields(writer.finish())]).toEqual(list);
      }),
    );
  });

  it('refuses what is cut off anywhere inside a field', () => {
    const record = new ByteWriter().field(3, Buffer.from('abc')).field(300, Buffer.alloc(200, 1)).finish();
    const borders = [0, 5, record.length];
    for (let length = 0; length <= record.length; length++) {
      const code = refusal(() => [...readFields(record.subarray(0, length))]);
      expect(code, `${length} bytes`).toBe(borders.includes(length) ? undefined : 'DATA_DAMAGED');
    }
  });

  it('refuses a second value of a field that occurs once', () => {
    const record = new ByteWriter().numberField(1, 1).numberField(5, 1).numberField(1, 2).finish();
    expect(refusal(() => [...readFields(record, [1])])).toBe('DATA_DAMAGED');
    expect([...readFields(record, [5])]).toHaveLength(3);
  });

  it('does not allocate an announced length', () => {
    const announced = new ByteWriter().varint(1).varint(Number.MAX_SAFE_INTEGER).u8(1).finish();
    expect(refusal(() => [...readFields(announced)])).toBe('DATA_DAMAGED');
  });

  it('refuses a number that does not fill its field', () => {
    expect(refusal(() => numberOf(Buffer.from([1, 0])))).toBe('DATA_DAMAGED');
    expect(refusal(() => zigzagIn(Buffer.from([1, 0])))).toBe('DATA_DAMAGED');
  });
});
