import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from './bytes.ts';
import {
  appendExtent,
  decodeExtentNode,
  decodeExtents,
  encodeExtentInner,
  encodeExtentLeaf,
  encodeExtents,
  type Extent,
} from './extents.ts';
import { decodeIndex, encodeIndex, type IndexedPack } from './index-file.ts';
import { FOLDERS } from './header.ts';
import { LIMITS } from './limits.ts';
import {
  anId,
  attempt,
  BOTH,
  bytesOf,
  directories,
  entries,
  extentLists,
  mutated,
  names,
  packOf,
  refusal,
  someBlobs,
} from './testing/arbitraries.ts';
import {
  decodeTreeNode,
  encodeEntry,
  encodeTreeIndex,
  encodeTreeLeaf,
  type TreeEntry,
  type TreeXattr,
} from './tree.ts';

const ID = Buffer.alloc(32, 7);
const list = (write: (w: ByteWriter) => ByteWriter): Buffer => write(new ByteWriter()).finish();

describe('extent lists', () => {
  it('round-trip, with holes and any unit', () => {
    fc.assert(
      fc.property(extentLists, (extents) => {
        expect(decodeExtents(encodeExtents(extents))).toEqual(extents);
      }),
    );
  });

  it('keep the content when neighbours are joined', () => {
    fc.assert(
      fc.property(extentLists, ({ extents }) => {
        const units = (all: readonly Extent[]): string[] =>
          all.flatMap((e) =>
            Array.from(
              { length: Math.min(e.length, 50) },
              (_, i) => `${e.blob?.toString('hex') ?? ''}:${e.blob ? e.offset + i : 0}`,
            ),
          );
        const short = extents.map((e) => ({ ...e, length: Math.min(e.length, 8) }));
        const joined: Extent[] = [];
        for (const extent of short) appendExtent(joined, extent);
        expect(units(joined)).toEqual(units(short));
        for (const [i, e] of joined.entries()) {
          const next = joined[i + 1];
          const same =
            next !== undefined && (e.blob === undefined ? next.blob === undefined : next.blob?.equals(e.blob) === true);
          if (same) expect(e.blob !== undefined && e.offset + e.length !== next.offset).toBe(true);
        }
      }),
    );
  });

  it.each<[string, Buffer]>([
    ['a unit of 0', list((w) => w.varint(0).varint(0).varint(0))],
    ['a unit over 65,536', list((w) => w.varint(65_537).varint(0).varint(0))],
    [
      'more blobs than bytes',
      list((w) =>
        w
          .varint(1)
          .varint(2 ** 50)
          .varint(0),
      ),
    ],
    [
      'more extents than bytes',
      list((w) =>
        w
          .varint(1)
          .varint(0)
          .varint(2 ** 50),
      ),
    ],
    ['a blob that is not listed', list((w) => w.varint(1).varint(0).varint(1).varint(1).zigzag(0n).varint(1))],
    ['an empty extent', list((w) => w.varint(1).varint(1).bytes(ID).varint(1).varint(0).zigzag(0n).varint(0))],
    ['an empty hole', list((w) => w.varint(1).varint(0).varint(1).varint(0).varint(0))],
    ['a place before its blob', list((w) => w.varint(1).varint(1).bytes(ID).varint(1).varint(0).zigzag(-1n).varint(1))],
    [
      'a place after the largest blob',
      list((w) => w.varint(4096).varint(1).bytes(ID).varint(1).varint(0).zigzag(4096n).varint(1)),
    ],
    [
      'an absurd place',
      list((w) =>
        w
          .varint(1)
          .varint(1)
          .bytes(ID)
          .varint(1)
          .varint(0)
          .zigzag((1n << 63n) - 1n)
          .varint(1),
      ),
    ],
    ['bytes after its end', list((w) => w.varint(1).varint(0).varint(0).u8(0))],
    ['nothing', Buffer.alloc(0)],
  ])('refuse %s', (_what, bytes) => expect(refusal(() => decodeExtents(bytes))).toBe('DATA_DAMAGED'));

  it('throw nothing but what they should for any bytes', () => {
    const sample = encodeExtents({
      unit: 512,
      extents: [
        { blob: ID, offset: 3, length: 9 },
        { blob: undefined, offset: 0, length: 5 },
      ],
    });
    fc.assert(
      fc.property(fc.oneof(bytesOf(0, 80), mutated(sample)), (bytes) => {
        attempt(() => decodeExtents(bytes));
      }),
      { numRuns: 5000 },
    );
  });
});

describe('extent nodes', () => {
  const children = fc.array(fc.record({ id: anId, bytes: fc.maxSafeNat() }), { minLength: 1, maxLength: 6 });

  it('round-trip', () => {
    fc.assert(
      fc.property(extentLists, children, fc.integer({ min: 1, max: 8 }), (extents, inner, level) => {
        expect(decodeExtentNode(encodeExtentLeaf(extents))).toEqual({ level: 0, list: extents });
        expect(decodeExtentNode(encodeExtentInner(level, inner))).toEqual({ level, children: inner });
      }),
    );
  });

  it('nest no deeper than their parent allows', () => {
    const inner = (level: number): Buffer => encodeExtentInner(level, [{ id: ID, bytes: 1 }]);
    expect(refusal(() => decodeExtentNode(inner(9)))).toBe('DATA_DAMAGED');
    expect(refusal(() => decodeExtentNode(inner(2), 1))).toBe('DATA_DAMAGED');
    expect(refusal(() => decodeExtentNode(inner(1), 1))).toBeUndefined();
  });

  const empty = encodeExtents({ unit: 1, extents: [] });
  it.each<[string, Buffer]>([
    ['a leaf without a list', list((w) => w.numberField(1, 0))],
    [
      'a leaf with children',
      list((w) =>
        w
          .numberField(1, 0)
          .field(3, empty)
          .field(5, Buffer.concat([ID, Buffer.from([1])])),
      ),
    ],
    ['an inner node without children', list((w) => w.numberField(1, 1))],
    ['an inner node with a list', list((w) => w.numberField(1, 1).field(3, empty))],
    ['no level', list((w) => w.field(3, empty))],
    ['two levels', list((w) => w.numberField(1, 0).numberField(1, 0).field(3, empty))],
    ['two lists', list((w) => w.numberField(1, 0).field(3, empty).field(3, empty))],
    ['a short child', list((w) => w.numberField(1, 1).field(5, ID))],
  ])('refuse %s', (_what, bytes) => expect(refusal(() => decodeExtentNode(bytes))).toBe('DATA_DAMAGED'));

  it('skip unknown even tags and refuse unknown odd ones', () => {
    const leaf = encodeExtentLeaf({ unit: 1, extents: [] });
    expect(decodeExtentNode(list((w) => w.bytes(leaf).field(4, ID)))).toEqual(decodeExtentNode(leaf));
    expect(refusal(() => decodeExtentNode(list((w) => w.bytes(leaf).field(7, ID))))).toBe('FORMAT_TOO_NEW');
  });

  it('throw nothing but what they should for any bytes', () => {
    const sample = encodeExtentInner(3, [{ id: ID, bytes: 100 }]);
    fc.assert(
      fc.property(fc.oneof(bytesOf(0, 80), mutated(sample)), (bytes) => {
        attempt(() => decodeExtentNode(bytes));
      }),
      { numRuns: 5000 },
    );
  });
});

describe('tree nodes', () => {
  const file = (name: string, more: Partial<TreeEntry> = {}): Buffer =>
    encodeEntry({
      name: Buffer.from(name),
      type: 'file',
      mode: 0o644,
      mtimeNs: 1n,
      size: 0,
      sha256: ID,
      ...more,
    } as TreeEntry);
  const attribute = (name: string, bytes = 0): TreeXattr => ({ name: Buffer.from(name), value: Buffer.alloc(bytes) });
  const decodeLeaf = (...encoded: Buffer[]) => decodeTreeNode(encodeTreeLeaf(encoded));

  it('round-trip entries of every type with every optional field', () => {
    fc.assert(
      fc.property(directories, (all) => {
        expect(decodeTreeNode(encodeTreeLeaf(all.map(encodeEntry)))).toEqual({ leaf: true, entries: all });
      }),
      { numRuns: 300 },
    );
  });

  it('round-trip an index', () => {
    const children = fc.array(fc.record({ id: anId, firstName: names }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(children, (all) => {
        expect(decodeTreeNode(encodeTreeIndex(all))).toEqual({ leaf: false, children: all });
      }),
    );
  });

  it('keep inode numbers of 64 bits', () => {
    const inode = (1n << 64n) - 1n;
    const node = decodeLeaf(file('a', { inode }));
    expect(node.leaf && node.entries[0]?.inode).toBe(inode);
  });

  it('skip unknown even fields of an entry and refuse unknown odd ones', () => {
    const plain = file('a');
    const even = list((w) => w.bytes(plain).field(40, ID).field(40, ID));
    expect(decodeLeaf(even)).toEqual(decodeLeaf(plain));
    expect(refusal(() => decodeLeaf(list((w) => w.bytes(plain).field(41, ID))))).toBe('FORMAT_TOO_NEW');
    expect(refusal(() => decodeTreeNode(list((w) => w.bytes(encodeTreeLeaf([])).field(7, ID))))).toBe('FORMAT_TOO_NEW');
  });

  it.each(['', '.', '..', 'a/b', '/', 'a\0', '\0', 'x'.repeat(256)])('refuse the name %j', (name) => {
    expect(refusal(() => decodeLeaf(file(name)))).toBe('DATA_DAMAGED');
  });

  it.each(['...', '.a', 'x'.repeat(255), ' ', '\n', 'a\\b'])('take the name %j', (name) => {
    expect(refusal(() => decodeLeaf(file(name)))).toBeUndefined();
  });

  it('take names that are no UTF-8', () => {
    const name = Buffer.from([0xff, 0xfe, 0x80]);
    const node = decodeLeaf(file('', { name }));
    expect(node.leaf && node.entries[0]?.name).toEqual(name);
  });

  it.each<[string, () => unknown]>([
    ['names out of order', () => decodeLeaf(file('b'), file('a'))],
    ['a name twice', () => decodeLeaf(file('a'), file('a'))],
    ['a mode over 07777', () => decodeLeaf(file('a', { mode: 0o10000 }))],
    ['a file with content of size 0', () => decodeLeaf(file('a', { extentRoot: ID }))],
    ['a file of size 1 without content', () => decodeLeaf(file('a', { size: 1 }))],
    [
      'a file with two contents',
      () => decodeLeaf(file('a', { size: 1, extentRoot: ID, extents: { unit: 1, extents: [] } })),
    ],
    ['a SHA-256 of 31 bytes', () => decodeLeaf(file('a', { sha256: Buffer.alloc(31) }))],
    [
      'an unknown type',
      () =>
        decodeLeaf(
          list((w) => w.bytes(file('a').subarray(0, 3)).numberField(3, 5).numberField(5, 0).zigzagField(7, 0n)),
        ),
    ],
    ['a file with two hashes', () => decodeLeaf(file('a', { blockSha256: ID }))],
    ['a link of no bytes', () => decodeLeaf(file('a', { link: Buffer.alloc(0) }))],
    ['a link of 33 bytes', () => decodeLeaf(file('a', { link: Buffer.alloc(33) }))],
    ['attributes out of order', () => decodeLeaf(file('a', { xattrs: [attribute('b'), attribute('a')] }))],
    ['an attribute twice', () => decodeLeaf(file('a', { xattrs: [attribute('a'), attribute('a')] }))],
    ['an attribute without a name', () => decodeLeaf(file('a', { xattrs: [attribute('')] }))],
    ['an attribute with a NUL in its name', () => decodeLeaf(file('a', { xattrs: [attribute('a\0')] }))],
    ['attributes over 256 KiB', () => decodeLeaf(file('a', { xattrs: [attribute('a', 256 * 1024)] }))],
    ['attributes that are cut off', () => decodeLeaf(list((w) => w.bytes(file('a')).field(22, Buffer.of(3, 0x61))))],
    ['a field twice', () => decodeLeaf(list((w) => w.bytes(file('a')).numberField(5, 0)))],
    ['a leaf with children', () => decodeTreeNode(list((w) => w.numberField(1, 0).field(5, ID)))],
    ['an index with entries', () => decodeTreeNode(list((w) => w.numberField(1, 1).field(3, file('a'))))],
    ['an index without children', () => decodeTreeNode(list((w) => w.numberField(1, 1)))],
    ['a node of no kind', () => decodeTreeNode(Buffer.alloc(0))],
    ['a node of two kinds', () => decodeTreeNode(list((w) => w.numberField(1, 1).numberField(1, 0)))],
  ])('refuse %s', (_what, decode) => expect(refusal(decode)).toBe('DATA_DAMAGED'));

  it('refuse an entry that lacks any of its fields', () => {
    fc.assert(
      fc.property(entries, (entry) => {
        const encoded = encodeEntry(entry);
        const required = new Set([1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21]);
        const reader: [number, Buffer][] = [];
        for (let at = 0; at < encoded.length;) {
          const tag = encoded[at]!;
          const two = encoded[at + 1]! >= 0x80 ? (encoded[at + 1]! & 0x7f) + encoded[at + 2]! * 128 : encoded[at + 1]!;
          const head = encoded[at + 1]! >= 0x80 ? 3 : 2;
          if (encoded[at + 1]! >= 0x80 && encoded[at + 2]! >= 0x80) return;
          reader.push([tag, encoded.subarray(at + head, at + head + two)]);
          at += head + two;
        }
        for (const [tag] of reader) {
          const rest = list((w) => reader.filter(([t]) => t !== tag).reduce((v, [t, value]) => v.field(t, value), w));
          expect(
            refusal(() => decodeLeaf(rest)),
            `field ${tag}`,
          ).toBe(required.has(tag) ? 'DATA_DAMAGED' : undefined);
        }
      }),
    );
  });

  it('throw nothing but what they should for any bytes', () => {
    const sample = encodeTreeLeaf([
      file('a'),
      file('b', { size: 3, extents: { unit: 1, extents: [{ blob: ID, offset: 0, length: 3 }] } }),
    ]);
    fc.assert(
      fc.property(fc.oneof(bytesOf(0, 120), mutated(sample)), (bytes) => {
        attempt(() => decodeTreeNode(bytes));
      }),
      { numRuns: 5000 },
    );
  });
});

describe('index files', () => {
  const packs = (keys: (typeof BOTH)[number][1]): fc.Arbitrary<IndexedPack[]> =>
    fc.array(
      fc.tuple(someBlobs, fc.constantFrom(...FOLDERS)).map(([blobs, folder]) => {
        const { bytes, hash, blobs: directory } = packOf(keys, blobs, { folder });
        return { hash, folder, size: bytes.length, blobs: directory };
      }),
      { maxLength: 4 },
    );

  it.each(BOTH)('round-trip (%s)', (_name, keys) => {
    fc.assert(
      fc.property(packs(keys), fc.array(anId, { maxLength: 3 }), (all, replaces) => {
        expect(decodeIndex(encodeIndex(all, replaces))).toEqual({ packs: all, replaces });
      }),
    );
  });

  const sample = encodeIndex(
    [{ hash: ID, folder: 'files', size: 500, blobs: packOf(BOTH[0]![1], [[Buffer.from('x')]]).blobs }],
    [ID],
  );

  it('skip unknown even tags and refuse unknown odd ones', () => {
    expect(decodeIndex(list((w) => w.bytes(sample).field(4, ID)))).toEqual(decodeIndex(sample));
    expect(refusal(() => decodeIndex(list((w) => w.bytes(sample).field(3, ID))))).toBe('FORMAT_TOO_NEW');
  });

  it.each<[string, Buffer]>([
    [
      'a pack that lacks its hash',
      list((w) =>
        w.field(
          1,
          list((r) => r.numberField(3, 0).numberField(5, 100).field(7, Buffer.alloc(0))),
        ),
      ),
    ],
    [
      'an unknown folder',
      list((w) =>
        w.field(
          1,
          list((r) => r.field(1, ID).numberField(3, 6)),
        ),
      ),
    ],
    ['a pack over 64 MiB', encodeIndex([{ hash: ID, folder: 'meta', size: LIMITS.packBytes + 1, blobs: [] }])],
    ['a replaced hash of 31 bytes', encodeIndex([], [Buffer.alloc(31)])],
    [
      'a size twice',
      list((w) =>
        w.field(
          1,
          list((r) => r.numberField(5, 100).numberField(5, 100)),
        ),
      ),
    ],
  ])('refuse %s', (_what, bytes) => expect(refusal(() => decodeIndex(bytes))).toBe('DATA_DAMAGED'));

  it('throw nothing but what they should for any bytes', () => {
    fc.assert(
      fc.property(fc.oneof(bytesOf(0, 120), mutated(sample)), (bytes) => {
        attempt(() => decodeIndex(bytes));
      }),
      { numRuns: 5000 },
    );
  });
});
