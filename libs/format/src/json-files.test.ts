import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OBJECT_KIND } from './header.ts';
import { decodeJsonFile, encodeJsonFile } from './json-file.ts';
import type { RepositoryKeys } from './keys.ts';
import { LIMITS } from './limits.ts';
import { decodeManifest, encodeManifest, type Manifest } from './manifest.ts';
import { decodeRepositoryFile, encodeRepositoryFile } from './repository-file.ts';
import { sealObject, sha256 } from './seal.ts';
import { attempt, BOTH, bytesOf, encryptedKeys, mutated, plainKeys, refusal, SALT } from './testing/arbitraries.ts';
import { sampleManifest } from './testing/sample-manifest.ts';

const KEY = Buffer.alloc(32, 3);
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const replaced = (bytes: Uint8Array, from: string, to: string): Buffer => {
  expect(text(bytes)).toContain(from);
  return Buffer.from(text(bytes).replace(from, to));
};
/** The same JSON with a checksum that fits. */
const resummed = (bytes: Uint8Array, key?: Uint8Array): Buffer => {
  const { checksum: _sum, ...rest } = JSON.parse(text(bytes)) as Record<string, unknown>;
  return encodeJsonFile(rest, key);
};

describe('JSON files', () => {
  const values = fc.dictionary(
    fc.string().filter((k) => k !== 'checksum' && k !== '__proto__'),
    fc.jsonValue(),
    { minKeys: 1 },
  );

  it('round-trip with either checksum', () => {
    fc.assert(
      fc.property(values, (value) => {
        const plain = JSON.parse(JSON.stringify(value)) as unknown;
        expect(decodeJsonFile(encodeJsonFile(value), { kind: 'sha256' })).toEqual(plain);
        expect(decodeJsonFile(encodeJsonFile(value, KEY), { kind: 'hmac-sha256', key: KEY })).toEqual(plain);
      }),
    );
  });

  it('carry their checksum over every byte before its line', () => {
    const file = text(encodeJsonFile({ a: 1, b: ['x'] }));
    const body = file.slice(0, file.indexOf('  "checksum"'));
    expect(file).toBe(`${body}  "checksum": "sha256:${sha256(Buffer.from(body)).toString('hex')}"\n}\n`);
    expect(JSON.parse(file)).toMatchObject({ a: 1, b: ['x'] });
  });

  it('refuse the other kind of checksum and another key', () => {
    const hmac = encodeJsonFile({ a: 1 }, KEY);
    const sum = encodeJsonFile({ a: 1 });
    expect(refusal(() => decodeJsonFile(hmac, { kind: 'sha256' }))).toBe('DATA_DAMAGED');
    expect(refusal(() => decodeJsonFile(sum, { kind: 'hmac-sha256', key: KEY }))).toBe('DATA_DAMAGED');
    expect(refusal(() => decodeJsonFile(hmac, { kind: 'hmac-sha256', key: Buffer.alloc(32) }))).toBe('DATA_DAMAGED');
  });

  it('refuse every changed byte and every truncation', () => {
    const file = encodeJsonFile({ name: 'ä', deep: { list: [1, 2] } });
    for (let i = 0; i < file.length; i++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = Buffer.from(file);
        changed[i]! ^= 1 << bit;
        expect(
          refusal(() => decodeJsonFile(changed, { kind: 'sha256' })),
          `byte ${i}`,
        ).toBe('DATA_DAMAGED');
      }
      expect(refusal(() => decodeJsonFile(file.subarray(0, i), { kind: 'sha256' }))).toBe('DATA_DAMAGED');
    }
  });

  it('throw nothing but what they should for any bytes', () => {
    const file = encodeJsonFile({ a: { b: 1 }, c: 'text' });
    fc.assert(
      fc.property(fc.oneof(bytesOf(0, 200), mutated(file)), (bytes) => {
        attempt(() => decodeJsonFile(bytes, { kind: 'sha256' }));
        attempt(() => decodeJsonFile(bytes, undefined));
      }),
      { numRuns: 3000 },
    );
  });
});

describe('repository file', () => {
  const info = { id: '0f'.repeat(16), createdAt: '2026-11-23T04:00:00.000Z', encrypted: true };
  const file = encodeRepositoryFile(info);

  it('round-trips', () => {
    expect(decodeRepositoryFile(file)).toEqual(info);
    expect(decodeRepositoryFile(encodeRepositoryFile({ ...info, encrypted: false }))).toEqual({
      ...info,
      encrypted: false,
    });
  });

  const newer = replaced(file, '"version": 1', '"version": 2');

  it.each<[string, Buffer]>([
    ['its checksum fits', resummed(newer)],
    ['its checksum is of an unknown kind', replaced(newer, 'sha256:', 'blake3:')],
    ['it has no checksum', Buffer.from(JSON.stringify({ format: 'foodsave-backup repository', version: 7 }))],
  ])('is too new when its version is and %s', (_what, bytes) => {
    expect(refusal(() => decodeRepositoryFile(bytes))).toBe('FORMAT_TOO_NEW');
  });

  it('is damaged, not newer, when a flipped bit raised its version', () => {
    expect(refusal(() => decodeRepositoryFile(newer))).toBe('DATA_DAMAGED');
  });

  it.each<[string, string, string, string]>([
    ['an unknown compression', '"zstd"', '"brotli"', 'FORMAT_TOO_NEW'],
    ['an unknown encryption', '"aes-256-gcm"', '"rot13"', 'FORMAT_TOO_NEW'],
    ['an unknown hash', '"hash": "sha256"', '"hash": "md5"', 'FORMAT_TOO_NEW'],
    ['another format', 'backup repository', 'backup key', 'DATA_DAMAGED'],
    ['a version of 0', '"version": 1', '"version": 0', 'DATA_DAMAGED'],
    ['a version that is text', '"version": 1', '"version": "2"', 'DATA_DAMAGED'],
    ['a malformed id', '0f0f', '0F0F', 'DATA_DAMAGED'],
  ])('refuses %s', (_what, from, to, code) => {
    expect(refusal(() => decodeRepositoryFile(resummed(replaced(file, from, to))))).toBe(code);
  });

  it('is refused when it is over 64 KiB', () => {
    expect(refusal(() => decodeRepositoryFile(encodeRepositoryFile({ ...info, createdAt: 'x'.repeat(70_000) })))).toBe(
      'DATA_DAMAGED',
    );
  });

  it('refuses every changed byte and every truncation', () => {
    for (let i = 0; i < file.length; i++) {
      for (const flip of [1, 3, 0x20, 0x80]) {
        const changed = Buffer.from(file);
        changed[i]! ^= flip;
        expect(
          refusal(() => decodeRepositoryFile(changed)),
          `byte ${i}`,
        ).toBeDefined();
      }
      expect(refusal(() => decodeRepositoryFile(file.subarray(0, i)))).toBe('DATA_DAMAGED');
    }
  });

  it('throws nothing but what it should for any bytes', () => {
    fc.assert(
      fc.property(fc.oneof(bytesOf(0, 200), mutated(file)), (bytes) => {
        const read = attempt(() => decodeRepositoryFile(bytes));
        if ('value' in read) expect(read.value).toEqual(info);
      }),
      { numRuns: 2000 },
    );
  });
});

const encode = (keys: RepositoryKeys, change: Partial<Manifest> = {}): Buffer =>
  encodeManifest(keys, { ...sampleManifest(keys), ...change }, SALT);
const checksumKey = (keys: RepositoryKeys): Buffer | undefined => (keys.encrypted ? keys.manifestKey : undefined);

describe.each(BOTH)('%s manifest', (_name, keys) => {
  const manifest = sampleManifest(keys);
  const file = encode(keys);

  it('round-trips', () => {
    expect(decodeManifest(keys, file)).toEqual(manifest);
    const { verification: _verification, ...without } = manifest;
    expect(decodeManifest(keys, encodeManifest(keys, without, SALT))).toEqual(without);
  });

  it('refuses every changed byte and every truncation, and never takes damage for a newer version', () => {
    for (let i = 0; i < file.length; i++) {
      for (const flip of [1, 3, 0x20]) {
        const changed = Buffer.from(file);
        changed[i]! ^= flip;
        expect(
          refusal(() => decodeManifest(keys, changed)),
          `byte ${i}`,
        ).toBe('DATA_DAMAGED');
      }
      expect(refusal(() => decodeManifest(keys, file.subarray(0, i)))).toBe('DATA_DAMAGED');
    }
  });

  it('is too new when its version is and its checksum fits or is unknown', () => {
    const newer = replaced(file, '"version": 1', '"version": 2');
    expect(refusal(() => decodeManifest(keys, resummed(newer, checksumKey(keys))))).toBe('FORMAT_TOO_NEW');
    expect(
      refusal(() => decodeManifest(keys, replaced(newer, '-sha256:'.slice(keys.encrypted ? 0 : 1), '-sha3:'))),
    ).toBe('FORMAT_TOO_NEW');
  });

  it('refuses what belongs to another repository, is of another format or too large', () => {
    const moved = replaced(file, manifest.repositoryId, 'ab'.repeat(16));
    expect(refusal(() => decodeManifest(keys, resummed(moved, checksumKey(keys))))).toBe('DATA_DAMAGED');
    const other = replaced(file, 'backup manifest', 'backup lease');
    expect(refusal(() => decodeManifest(keys, resummed(other, checksumKey(keys))))).toBe('DATA_DAMAGED');
    expect(refusal(() => decodeManifest(keys, Buffer.alloc(LIMITS.manifestBytes + 1)))).toBe('DATA_DAMAGED');
  });

  it.each<[string, object]>([
    ['no components', { components: null }],
    ['a list of components', { components: [] }],
    ['a component that is null', { components: { a: null } }],
    ['a component without facts', { components: { a: { ...manifest.components['files:a'], facts: null } } }],
    ['a root that is no id', { components: { a: { ...manifest.components['files:a'], root: 'xyz' } } }],
    [
      'a complete component without a root',
      { components: { a: { ...manifest.components['files:a'], root: undefined } } },
    ],
    ['an unknown status', { status: 'splendid' }],
    ['a name that is a number', { name: 5 }],
    ['a negative size', { sizeBytes: -1 }],
    ['tags that are no list', { tags: 'a,b' }],
    ['a time that is none', { createdAt: 'yesterday' }],
  ])('refuses %s', (_what, change) => {
    expect(refusal(() => decodeManifest(keys, encode(keys, change)))).toBe('DATA_DAMAGED');
  });

  it('throws nothing but what it should for mutated bytes', () => {
    fc.assert(
      fc.property(fc.oneof(bytesOf(0, 100), mutated(file)), (bytes) => {
        const read = attempt(() => decodeManifest(keys, bytes));
        if ('value' in read) expect(read.value).toEqual(manifest);
      }),
      { numRuns: 1500 },
    );
  });
});

describe('encrypted manifest', () => {
  const file = encode(encryptedKeys);
  const withPrivate = (sealed: unknown): Buffer => {
    const { checksum: _sum, ...rest } = JSON.parse(text(file)) as Record<string, unknown>;
    return encodeJsonFile({ ...rest, private: sealed }, encryptedKeys.manifestKey);
  };
  const seal = (content: string, kind: 3 | 4 = OBJECT_KIND.manifest): string =>
    sealObject(encryptedKeys, kind, Buffer.from(content), SALT).toString('base64');

  it('shows neither components nor tags nor facts', () => {
    for (const hidden of ['files:a', 'nightly', 'secret fact', 'complete', 'trigger'])
      expect(text(file)).not.toContain(hidden);
    expect(text(encode(plainKeys))).toContain('secret fact');
  });

  it('refuses a public part that was changed and summed again without the key', () => {
    const changed = replaced(file, '"files": 3', '"files": 4');
    expect(refusal(() => decodeManifest(encryptedKeys, resummed(changed)))).toBe('DATA_DAMAGED');
    expect(refusal(() => decodeManifest(encryptedKeys, resummed(changed, plainKeys.manifestKey)))).toBe('DATA_DAMAGED');
  });

  it.each<[string, unknown]>([
    ['absent', undefined],
    ['an object', {}],
    ['no base64 of a sealed object', 'AAAA'],
    ['an object of another kind', seal('{}', OBJECT_KIND.note)],
    ['no JSON', seal('not json')],
    ['JSON that is no object', seal('null')],
    ['JSON that lacks everything', seal('{}')],
  ])('refuses a private part that is %s', (_what, sealed) => {
    expect(refusal(() => decodeManifest(encryptedKeys, withPrivate(sealed)))).toBe('DATA_DAMAGED');
  });

  it('refuses a private part in which one byte was changed, under a checksum that fits', () => {
    const sealed = Buffer.from((JSON.parse(text(file)) as { private: string }).private, 'base64');
    for (let i = 0; i < sealed.length; i += 5) {
      const changed = Buffer.from(sealed);
      changed[i]! ^= 0x10;
      expect(
        refusal(() => decodeManifest(encryptedKeys, withPrivate(changed.toString('base64')))),
        `byte ${i}`,
      ).toBeDefined();
    }
  });
});
