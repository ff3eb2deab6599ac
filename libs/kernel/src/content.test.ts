import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockHash, bytesOf, HASH_BLOCK_BYTES, hashLike, matches, WholeHash, type Piece } from './content.ts';

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** Lengths near the borders of blocks, so that runs begin and end in every place of one. */
const length = fc.oneof(
  fc.integer({ min: 1, max: 5000 }),
  fc.integer({ min: HASH_BLOCK_BYTES - 3, max: HASH_BLOCK_BYTES + 3 }),
  fc.integer({ min: 2 * HASH_BLOCK_BYTES - 2, max: 2 * HASH_BLOCK_BYTES + 2 }),
);
const pieces: fc.Arbitrary<Piece[]> = fc.array(
  fc.oneof(
    length.map((hole): Piece => ({ hole })),
    fc.tuple(length, fc.nat(255)).map(([bytes, value]): Piece => Buffer.alloc(bytes, value)),
  ),
  { maxLength: 5 },
);

async function* each(list: readonly Piece[]): AsyncGenerator<Piece> {
  for (const piece of list) yield await Promise.resolve(piece);
}

async function whole(list: readonly Piece[]): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of bytesOf(each(list))) parts.push(part);
  return Buffer.concat(parts);
}

describe('hashes of contents with holes', () => {
  it('depend on the bytes alone, however they come', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, async (list) => {
        const bytes = await whole(list);
        const blocks: Buffer[] = [];
        for (let at = 0; at < bytes.length; at += HASH_BLOCK_BYTES)
          blocks.push(sha256(bytes.subarray(at, at + HASH_BLOCK_BYTES)));
        for (const [hash, expected] of [
          [new WholeHash(), sha256(bytes)],
          [new BlockHash(), sha256(Buffer.concat(blocks))],
        ] as const) {
          for (const piece of list) {
            if ('hole' in piece) hash.zeros(piece.hole);
            else hash.update(piece);
          }
          expect(hash.digest()).toEqual(expected);
        }
      }),
      { seed: 20_261_125, numRuns: 60 },
    );
  });

  it('of a tebibyte of zeros are known at once', () => {
    const hash = new BlockHash();
    hash.zeros(2 ** 40);
    const zeroBlock = sha256(Buffer.alloc(HASH_BLOCK_BYTES));
    const outer = createHash('sha256');
    for (let block = 0; block < 2 ** 20; block++) outer.update(zeroBlock);
    expect(hash.digest()).toEqual(outer.digest());
  });

  it('match what says which of the two it is, and nothing else', () => {
    const digests = { whole: new WholeHash().digest(), blocks: new BlockHash().digest() };
    expect(digests.whole).toEqual(digests.blocks);
    const bytes = Buffer.from('x');
    const said = { blockSha256: sha256(sha256(bytes)) };
    const hash = hashLike(said);
    hash.update(bytes);
    expect(matches(hash, said)).toBe(true);
    expect(matches(hashLike({}), {})).toBe(false);
  });
});
