import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HEADER_BYTES, makeHeader, OBJECT_KIND, readHeader, type ObjectKind } from './header.ts';
import { RepositoryKeys } from './keys.ts';
import { LIMITS } from './limits.ts';
import { openObject, sealObject, sealPart, sha256 } from './seal.ts';
import { BOTH, bytesOf, encryptedKeys, mutated, plainKeys, refusal, SALT, attempt } from './testing/arbitraries.ts';

const kinds = fc.constantFrom<ObjectKind>(OBJECT_KIND.index, OBJECT_KIND.manifest, OBJECT_KIND.note);

describe.each(BOTH)('%s header', (_name, keys) => {
  it('round-trips kind, folder and salt', () => {
    fc.assert(
      fc.property(fc.constantFrom('meta', 'database', 'custom' as const), bytesOf(32, 32), (folder, salt) => {
        const header = makeHeader(keys, OBJECT_KIND.pack, folder, salt);
        expect(header.bytes).toHaveLength(HEADER_BYTES);
        const read = readHeader(keys, Buffer.concat([header.bytes, Buffer.from('more')]), OBJECT_KIND.pack);
        expect(read).toEqual(header);
        expect(read.salt).toEqual(salt);
      }),
    );
  });

  it('keeps the salt of other objects only where it makes a key', () => {
    const { salt } = makeHeader(keys, OBJECT_KIND.note, 'meta', SALT);
    expect(salt).toEqual(keys.encrypted ? SALT : Buffer.alloc(32));
  });

  it('checks every byte before the salt', () => {
    const { bytes } = makeHeader(keys, OBJECT_KIND.index, 'meta', SALT);
    const end = keys.encrypted ? 32 : HEADER_BYTES;
    for (let i = 0; i < end; i++) {
      for (const flip of [1, 2, 0x80]) {
        const changed = Buffer.from(bytes);
        changed[i]! ^= flip;
        const code = i === 8 ? 'FORMAT_TOO_NEW' : 'DATA_DAMAGED';
        expect(
          refusal(() => readHeader(keys, changed, OBJECT_KIND.index)),
          `byte ${i}`,
        ).toBe(i === 8 && flip === 1 ? 'DATA_DAMAGED' : code);
      }
    }
  });
});

describe.each(BOTH)('%s sealed object', (_name, keys) => {
  it('round-trips any content', () => {
    fc.assert(
      fc.property(
        kinds,
        fc.oneof(
          bytesOf(0, 500),
          fc.nat(5000).map((n) => Buffer.alloc(n, 7)),
        ),
        (kind, content) => {
          const object = sealObject(keys, kind, content, SALT);
          expect(Buffer.from(openObject(keys, kind, object))).toEqual(content);
        },
      ),
    );
  });

  it('opens as its own kind, in its own repository only', () => {
    const object = sealObject(keys, OBJECT_KIND.note, Buffer.from('content'), SALT);
    expect(refusal(() => openObject(keys, OBJECT_KIND.index, object))).toBe('DATA_DAMAGED');
    const id = Buffer.alloc(16, 9);
    const other = new RepositoryKeys(id, keys.encrypted ? keys.exportMaster() : undefined);
    expect(refusal(() => openObject(other, OBJECT_KIND.note, object))).toBe('DATA_DAMAGED');
    const moved = Buffer.from(object);
    id.copy(moved, 16);
    expect(refusal(() => openObject(other, OBJECT_KIND.note, moved))).toBe('DATA_DAMAGED');
  });

  it('finds every changed byte and every truncation', () => {
    for (const content of [Buffer.from('short'), Buffer.alloc(300, 'long ')]) {
      const object = sealObject(keys, OBJECT_KIND.note, content, SALT);
      for (let i = 0; i < object.length; i++) {
        for (let bit = 0; bit < 8; bit++) {
          const changed = Buffer.from(object);
          changed[i]! ^= 1 << bit;
          expect(
            refusal(() => openObject(keys, OBJECT_KIND.note, changed)),
            `byte ${i}`,
          ).toBeDefined();
        }
        expect(refusal(() => openObject(keys, OBJECT_KIND.note, object.subarray(0, i)))).toBe('DATA_DAMAGED');
      }
      expect(refusal(() => openObject(keys, OBJECT_KIND.note, Buffer.concat([object, Buffer.alloc(1)])))).toBe(
        'DATA_DAMAGED',
      );
    }
  });

  it('refuses mutated objects', () => {
    const object = sealObject(keys, OBJECT_KIND.index, Buffer.alloc(200, 'content '), SALT);
    fc.assert(
      fc.property(mutated(object), (changed) => {
        const opened = attempt(() => openObject(keys, OBJECT_KIND.index, changed));
        expect('refused' in opened || changed.equals(object)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['a content over the limit', 0, LIMITS.sealedBytes + 1],
    ['a raw content that is shorter than announced', 0, 4],
    ['a zstd content that is none', 1, 3],
    ['a codec that does not exist', 2, 3],
  ])('refuses %s', (_what, codec, length) => {
    const header = makeHeader(keys, OBJECT_KIND.index, 'meta', SALT);
    const plain = Buffer.from([codec, 0, 0, 0, 0, 1, 2, 3]);
    plain.writeUInt32LE(length, 1);
    const part = sealPart(keys, OBJECT_KIND.index, header.salt, Buffer.alloc(12), header.bytes, plain);
    const object = Buffer.concat([header.bytes, part]);
    expect(refusal(() => openObject(keys, OBJECT_KIND.index, object))).toBe('DATA_DAMAGED');
  });
});

it('gives a key of their own to each purpose, kind and salt', () => {
  const all = [
    encryptedKeys.blobIdKey,
    encryptedKeys.pageHashKey,
    encryptedKeys.chunkerKey,
    encryptedKeys.manifestKey,
    ...[1, 2, 3, 4].map((kind) => encryptedKeys.objectKey(kind, SALT)),
    encryptedKeys.objectKey(1, Buffer.alloc(32)),
    plainKeys.blobIdKey,
  ];
  expect(new Set(all.map((key) => key.toString('hex'))).size).toBe(all.length);
});

it('shows no key material when it is printed or serialised', () => {
  const text = JSON.stringify({ keys: encryptedKeys });
  expect(text).toBe('{"keys":"[keys]"}');
  expect(sha256(Buffer.from('abc')).toString('hex')).toMatch(/^ba7816bf/);
});
