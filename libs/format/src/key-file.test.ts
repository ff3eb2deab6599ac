import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeJsonFile } from './json-file.ts';
import { generateSecret, normaliseSecret, parseKeyFile, unwrapMasterKey, wrapMasterKey } from './key-file.ts';
import { attempt, bytesOf, mutated, refusal } from './testing/arbitraries.ts';

const REPOSITORY = '0a'.repeat(16);
const MASTER = Buffer.alloc(32, 0x77);
const INFO = { id: '01kaqxg0000000000000000000', createdAt: '2026-11-23T04:00:00.000Z', label: 'first key' };
const SECRET = generateSecret();
type Json = Record<string, unknown> & { kdf: Record<string, unknown> };

let file: Buffer;
beforeAll(async () => {
  file = await wrapMasterKey(MASTER, SECRET, REPOSITORY, INFO);
});

/** The key file with some properties changed, under a checksum that fits. */
function changed(change: (json: Json) => unknown): Buffer {
  const { checksum: _sum, ...json } = JSON.parse(file.toString('utf8')) as Json;
  change(json);
  return encodeJsonFile(json);
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'resolved',
    (error: unknown) => (error as { code?: unknown }).code,
  );

describe('key files', () => {
  it('give the master key to the secret, however it was typed', async () => {
    expect(await unwrapMasterKey(file, SECRET, REPOSITORY)).toEqual(MASTER);
    expect(await unwrapMasterKey(file, `\n ${SECRET}\t\r\n`, REPOSITORY)).toEqual(MASTER);
    expect(parseKeyFile(file)).toMatchObject({ ...INFO, kdf: { N: 2 ** 10, r: 8, p: 1 } });
  });

  it('stay closed for another secret and another repository', async () => {
    expect(await unwrapMasterKey(file, generateSecret(), REPOSITORY)).toBeUndefined();
    expect(await unwrapMasterKey(file, SECRET.toUpperCase(), REPOSITORY)).toBeUndefined();
    expect(await unwrapMasterKey(file, SECRET, '0b'.repeat(16))).toBeUndefined();
  });

  it('cost more for a secret that a person chose, in either Unicode form', async () => {
    const chosen = await wrapMasterKey(MASTER, 'Cafe\u0301 au lait', REPOSITORY, INFO);
    expect(parseKeyFile(chosen).kdf.N).toBe(2 ** 17);
    expect(await unwrapMasterKey(chosen, 'Caf\u00e9 au lait', REPOSITORY)).toEqual(MASTER);
    expect(normaliseSecret(' Cafe\u0301\n')).toBe('Caf\u00e9');
  });

  it('stay closed when a parameter was changed', async () => {
    const other = Buffer.alloc(32, 1).toString('base64');
    const changes: ((json: Json) => unknown)[] = [
      (json) => (json.kdf['N'] = 2 ** 14),
      (json) => (json.kdf['r'] = 4),
      (json) => (json.kdf['p'] = 2),
      (json) => (json.kdf['salt'] = other),
      (json) => (json['id'] = 'another'),
      (json) => (json['nonce'] = Buffer.alloc(12).toString('base64')),
      (json) => (json['wrapped'] = Buffer.alloc(48).toString('base64')),
    ];
    for (const change of changes) expect(await unwrapMasterKey(changed(change), SECRET, REPOSITORY)).toBeUndefined();
    const relabelled = changed((json) => (json['label'] = 'renamed'));
    expect(await unwrapMasterKey(relabelled, SECRET, REPOSITORY)).toEqual(MASTER);
  });

  it.each<[string, (json: Json) => unknown]>([
    ['a cost over 512 MiB', (json) => (json.kdf['N'] = 2 ** 20)],
    ['a cost that is no power of two', (json) => (json.kdf['N'] = 1000)],
    ['a cost of 1', (json) => (json.kdf['N'] = 1)],
    ['a parallelism of 17', (json) => (json.kdf['p'] = 17)],
    ['a parallelism of 0', (json) => (json.kdf['p'] = 0)],
    ['a block size of a half', (json) => (json.kdf['r'] = 0.5)],
    ['a cost that scrypt does not have for its block size', (json) => Object.assign(json.kdf, { N: 2 ** 20, r: 1 })],
    ['a cost that is text', (json) => (json.kdf['N'] = '32768')],
    ['another derivation', (json) => (json.kdf['name'] = 'argon2id')],
    ['no derivation', (json) => ((json as Record<string, unknown>)['kdf'] = null)],
    ['a salt of more than 1,024 bytes', (json) => (json.kdf['salt'] = 'A'.repeat(1400))],
    ['a short nonce', (json) => (json['nonce'] = 'AAAA')],
    ['a short key', (json) => (json['wrapped'] = 'AAAA')],
    ['no label', (json) => delete json['label']],
    ['another format', (json) => (json['format'] = 'other')],
  ])('refuse %s', async (_what, change) => {
    expect(await codeOf(unwrapMasterKey(changed(change), SECRET, REPOSITORY))).toBe('DATA_DAMAGED');
  });

  it('refuse a newer version and a file that is too large', async () => {
    expect(
      await codeOf(
        unwrapMasterKey(
          changed((json) => (json['version'] = 2)),
          SECRET,
          REPOSITORY,
        ),
      ),
    ).toBe('FORMAT_TOO_NEW');
    const large = changed((json) => (json['label'] = 'x'.repeat(70_000)));
    expect(refusal(() => parseKeyFile(large))).toBe('DATA_DAMAGED');
  });

  it('are refused after any change of a byte', () => {
    for (let i = 0; i < file.length; i++) {
      const flipped = Buffer.from(file);
      flipped[i]! ^= 1;
      expect(
        refusal(() => parseKeyFile(flipped)),
        `byte ${i}`,
      ).toBe('DATA_DAMAGED');
    }
  });

  it('throw nothing but what they should for any bytes', () => {
    fc.assert(
      fc.property(fc.oneof(bytesOf(0, 200), mutated(file)), (bytes) => {
        attempt(() => parseKeyFile(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  it('never throw anything else for parameters of any type', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), fc.anything(), fc.jsonValue(), (N, r, p, kdf) => {
        attempt(() => parseKeyFile(changed((json) => Object.assign(json.kdf, { N, r, p }))));
        attempt(() => parseKeyFile(changed((json) => ((json as Record<string, unknown>)['kdf'] = kdf))));
      }),
      { numRuns: 500 },
    );
  });
});

it('generates secrets of 256 bits that differ', () => {
  const secrets = Array.from({ length: 200 }, () => generateSecret());
  for (const secret of secrets) expect(secret).toMatch(/^fsbk1-[a-z2-7]{51}[aq]$/);
  expect(new Set(secrets).size).toBe(secrets.length);
});
