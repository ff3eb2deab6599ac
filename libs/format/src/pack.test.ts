import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blobId, type BlobEntry } from './blob.ts';
import { ByteWriter } from './bytes.ts';
import { HEADER_BYTES } from './header.ts';
import type { RepositoryKeys } from './keys.ts';
import { LIMITS } from './limits.ts';
import {
  decodeDirectory,
  encodeDirectory,
  FOOTER_BYTES,
  openDirectory,
  openFrame,
  packKey,
  readFooter,
} from './pack.ts';
import { sha256 } from './seal.ts';
import { attempt, BOTH, bytesOf, mutated, packOf, refusal, someBlobs } from './testing/arbitraries.ts';

/** All that a pack holds, read from its bytes alone. */
function readPack(keys: RepositoryKeys, bytes: Buffer): { blobs: BlobEntry[]; contents: Buffer[][] } {
  const header = bytes.subarray(0, HEADER_BYTES);
  const place = readFooter(bytes.subarray(Math.max(0, bytes.length - FOOTER_BYTES)), bytes.length);
  const sealed = bytes.subarray(place.offset, place.offset + place.length);
  const { blobs } = openDirectory(keys, header, sealed, bytes.length);
  const key = packKey(keys, header);
  const contents = blobs.map((blob) => {
    let at = blob.offset;
    return blob.frames.map(({ stored }, i) => {
      at += stored;
      return Buffer.from(openFrame(key, blob, i, bytes.subarray(at - stored, at)));
    });
  });
  return { blobs, contents };
}

const entryOf = (frames: { length: number; stored: number; codec?: number }[]): BlobEntry => ({
  kind: 1,
  id: Buffer.alloc(32, 1),
  offset: HEADER_BYTES,
  firstFrame: 0,
  frames: frames.map((frame) => ({ codec: 0, hash: Buffer.alloc(32), ...frame })),
});

describe.each(BOTH)('%s pack', (_name, keys) => {
  it('round-trips blobs of any frames, and their ids are made of the frames', () => {
    fc.assert(
      fc.property(someBlobs, (blobs) => {
        const pack = packOf(keys, blobs);
        const read = readPack(keys, pack.bytes);
        expect(read.contents).toEqual(blobs);
        expect(read.blobs).toEqual(pack.blobs);
        expect(pack.hash).toEqual(sha256(pack.bytes));
        for (const { kind, frames, id } of read.blobs) expect(blobId(keys, kind, frames)).toEqual(id);
      }),
    );
  });

  const small = packOf(keys, [[Buffer.from('one frame')], [Buffer.alloc(90, 'a'), Buffer.from('and another')]]);

  it('finds every changed byte and every truncation, or reads the same', () => {
    for (let i = 0; i < small.bytes.length; i++) {
      for (const flip of [1, 4, 0x80, 0xff]) {
        const changed = Buffer.from(small.bytes);
        changed[i]! ^= flip;
        const read = attempt(() => readPack(keys, changed));
        if ('value' in read) expect(read.value.contents, `byte ${i}`).toEqual(small.contents);
      }
      expect(refusal(() => readPack(keys, small.bytes.subarray(0, i)))).toBe('DATA_DAMAGED');
    }
  });

  it('never gives other bytes from a mutated pack', () => {
    fc.assert(
      fc.property(mutated(small.bytes), (changed) => {
        const read = attempt(() => readPack(keys, changed));
        if ('value' in read) expect(read.value.contents).toEqual(small.contents);
      }),
      { numRuns: 2000 },
    );
  });

  it('reads a frame only in its own place', () => {
    const { blobs, bytes } = packOf(keys, [
      [Buffer.from('frame one'), Buffer.from('frame two')],
      [Buffer.from('frame 3rd')],
    ]);
    const [first, second] = blobs as [BlobEntry, BlobEntry];
    const key = packKey(keys, bytes);
    const stored = bytes.subarray(first.offset, first.offset + first.frames[0]!.stored);
    expect(Buffer.from(openFrame(key, first, 0, stored)).toString()).toBe('frame one');
    expect(refusal(() => openFrame(key, first, 1, stored))).toBe('DATA_DAMAGED');
    expect(refusal(() => openFrame(key, second, 0, stored))).toBe('DATA_DAMAGED');
    expect(refusal(() => openFrame(key, first, 2, stored))).toBe('DATA_DAMAGED');
    expect(refusal(() => openFrame(key, first, 0, stored.subarray(1)))).toBe('DATA_DAMAGED');
    const moved = { ...second, frames: first.frames };
    if (keys.encrypted) expect(refusal(() => openFrame(key, moved, 0, stored))).toBe('DATA_DAMAGED');
  });

  it('is refused when its header says another folder', () => {
    const changed = Buffer.from(small.bytes);
    changed[11] = 1;
    expect(refusal(() => readPack(keys, changed))).toBe('DATA_DAMAGED');
  });
});

describe('pack directory', () => {
  const directory = encodeDirectory([entryOf([{ length: 5, stored: 5 }])]);

  it('skips unknown even tags and refuses unknown odd ones', () => {
    const even = new ByteWriter().bytes(directory).field(2, Buffer.from('new')).finish();
    expect(decodeDirectory(even, 1000)).toEqual(decodeDirectory(directory, 1000));
    const odd = new ByteWriter().bytes(directory).field(3, Buffer.from('new')).finish();
    expect(refusal(() => decodeDirectory(odd, 1000))).toBe('FORMAT_TOO_NEW');
  });

  it('refuses what only a newer version knows', () => {
    const blob = new ByteWriter().numberField(1, 1).field(13, Buffer.alloc(1)).finish();
    expect(refusal(() => decodeDirectory(new ByteWriter().field(1, blob).finish(), 1000))).toBe('FORMAT_TOO_NEW');
  });

  it.each([
    ['a blob that starts in the header', { ...entryOf([{ length: 5, stored: 5 }]), offset: 63 }],
    ['a blob that ends after the pack', entryOf([{ length: 5, stored: 1000 }])],
    ['a blob without frames', entryOf([])],
    ['an empty frame', entryOf([{ length: 0, stored: 1 }])],
    ['a frame over 4 MiB', entryOf([{ length: LIMITS.frameBytes + 1, stored: 5 }])],
    ['a blob over 16 MiB', entryOf(Array.from({ length: 5 }, () => ({ length: LIMITS.frameBytes, stored: 5 })))],
    ['a blob of more than 4,096 frames', entryOf(Array.from({ length: 4097 }, () => ({ length: 1, stored: 0 })))],
    ['a kind that does not exist', { ...entryOf([{ length: 5, stored: 5 }]), kind: 6 as never }],
    ['an id of 31 bytes', { ...entryOf([{ length: 5, stored: 5 }]), id: Buffer.alloc(31) }],
  ])('refuses %s', (_what, entry) => {
    expect(refusal(() => decodeDirectory(encodeDirectory([entry]), 1000))).toBe('DATA_DAMAGED');
  });

  it('refuses a blob that lacks a field or has one twice', () => {
    const fields: [number, Buffer][] = [
      [1, Buffer.from([1])],
      [3, Buffer.alloc(32)],
      [5, Buffer.from([64])],
      [7, Buffer.from([0])],
      [9, Buffer.concat([Buffer.from([5, 5, 0]), Buffer.alloc(32)])],
    ];
    const decode = (list: [number, Buffer][]) => {
      const blob = list.reduce((w, [tag, value]) => w.field(tag, value), new ByteWriter()).finish();
      return decodeDirectory(new ByteWriter().field(1, blob).finish(), 1000);
    };
    expect(decode(fields)).toHaveLength(1);
    for (const field of fields) {
      expect(refusal(() => decode(fields.filter((f) => f !== field)))).toBe('DATA_DAMAGED');
      expect(refusal(() => decode([...fields, field]))).toBe('DATA_DAMAGED');
    }
  });

  it('throws nothing but what it should for any bytes', () => {
    fc.assert(
      fc.property(fc.oneof(bytesOf(0, 200), mutated(directory)), (bytes) => {
        attempt(() => decodeDirectory(bytes, 1000));
      }),
      { numRuns: 4000 },
    );
  });
});

describe('pack footer', () => {
  const footer = (length: number): Buffer => {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt32LE(length, 0);
    bytes.write('FSBPKEND', 8, 'latin1');
    return bytes;
  };

  it('places the directory', () => expect(readFooter(footer(20), 200)).toEqual({ offset: 164, length: 20 }));

  it('refuses a directory that is longer than the pack, and a pack over 64 MiB', () => {
    expect(refusal(() => readFooter(footer(0xffffffff), 200))).toBe('DATA_DAMAGED');
    expect(refusal(() => readFooter(footer(121), 200))).toBe('DATA_DAMAGED');
    expect(refusal(() => readFooter(footer(20), LIMITS.packBytes + 1))).toBe('DATA_DAMAGED');
  });

  it('refuses any other bytes', () => {
    fc.assert(
      fc.property(bytesOf(0, 20), (bytes) => {
        expect(refusal(() => readFooter(bytes, 1000))).toBe('DATA_DAMAGED');
      }),
      { numRuns: 2000 },
    );
  });
});
