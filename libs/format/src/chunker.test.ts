import fc from 'fast-check';
import { createCipheriv } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Chunker, DEFAULT_CHUNKS } from './chunker.ts';
import { PAGE_HASH_BYTES, PageHasher } from './pages.ts';
import { sha256 } from './seal.ts';
import { bytesOf, encryptedKeys, plainKeys } from './testing/arbitraries.ts';

const SIZES = { min: 64, average: 256, max: 1024 };
const small = new Chunker(encryptedKeys.chunkerKey, SIZES);

/** The same pseudo-random bytes in every run: AES-CTR of zeros. */
function noise(length: number, seed = 1): Buffer {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16)).update(Buffer.alloc(length));
}

function chunks(chunker: Chunker, data: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < data.length;) {
    const length = chunker.cut(data.subarray(at), true);
    found.push(data.subarray(at, at + length));
    at += length;
  }
  return found;
}

describe('chunker', () => {
  it('gives back its input, within its bounds, alike every time', () => {
    fc.assert(
      fc.property(bytesOf(0, 6000), (data) => {
        const cut = chunks(small, data);
        expect(Buffer.concat(cut)).toEqual(data);
        for (const [i, { length }] of cut.entries()) {
          expect(length).toBeLessThanOrEqual(SIZES.max);
          if (i < cut.length - 1) expect(length).toBeGreaterThanOrEqual(SIZES.min);
        }
        expect(chunks(new Chunker(encryptedKeys.chunkerKey, SIZES), data)).toEqual(cut);
      }),
      { numRuns: 300 },
    );
  });

  it('cuts alike whether the bytes come at once or in pieces', () => {
    const data = noise(50_000);
    for (const piece of [1024, 1500, 4096]) {
      const found: number[] = [];
      let held = Buffer.alloc(0);
      for (let at = 0; at < data.length; at += piece) {
        held = Buffer.concat([held, data.subarray(at, at + piece)]);
        for (let length = small.cut(held, false); length > 0; length = small.cut(held, false)) {
          found.push(length);
          held = held.subarray(length);
        }
      }
      for (const chunk of chunks(small, held)) found.push(chunk.length);
      expect(found).toEqual(chunks(small, data).map((chunk) => chunk.length));
    }
  });

  it('waits for more bytes before the largest chunk is complete', () => {
    expect(small.cut(noise(SIZES.max - 1), false)).toBe(0);
    expect(small.cut(noise(SIZES.max), false)).toBeGreaterThan(0);
  });

  it('changes only chunks near an insertion', () => {
    const before = noise(200_000);
    const known = new Set(chunks(small, before).map((chunk) => chunk.toString('latin1')));
    for (const at of [0, 50_000, 100_001, 199_999]) {
      const after = Buffer.concat([before.subarray(0, at), Buffer.from('!'), before.subarray(at)]);
      const fresh = chunks(small, after).filter((chunk) => !known.has(chunk.toString('latin1')));
      expect(fresh.length, `inserted at ${at}`).toBeLessThanOrEqual(8);
    }
  });

  it('cuts random data at about the average, and data without a cut point at the maximum', () => {
    const data = noise(64 * 1024 * 1024);
    const cut = chunks(new Chunker(encryptedKeys.chunkerKey), data);
    const average = data.length / cut.length;
    expect(average).toBeGreaterThan(DEFAULT_CHUNKS.average * 0.6);
    expect(average).toBeLessThan(DEFAULT_CHUNKS.average * 1.8);
    const zeros = chunks(small, Buffer.alloc(10_000)).map((chunk) => chunk.length);
    expect(new Set(zeros.slice(0, -1)).size).toBe(1);
  });

  it('cuts elsewhere with another key', () => {
    const data = noise(100_000);
    const other = chunks(new Chunker(plainKeys.chunkerKey, SIZES), data);
    const shared = new Set(chunks(small, data).map((chunk) => sha256(chunk).toString('hex')));
    expect(other.filter((chunk) => shared.has(sha256(chunk).toString('hex')))).toEqual([]);
  });
});

describe('page hashes', () => {
  it('are the start of SHA-256 over key and page', () => {
    fc.assert(
      fc.property(fc.constantFrom(512, 4096), fc.integer({ min: 1, max: 5 }), fc.nat(255), (pageSize, count, seed) => {
        const pages = noise(pageSize * count, seed);
        const hasher = new PageHasher(encryptedKeys, pageSize);
        const out = Buffer.alloc(count * PAGE_HASH_BYTES);
        for (let i = 0; i < count; i++) hasher.hashInto(pages, i * pageSize, out, i * PAGE_HASH_BYTES);
        for (let i = 0; i < count; i++) {
          const page = pages.subarray(i * pageSize, (i + 1) * pageSize);
          const whole = sha256(Buffer.concat([encryptedKeys.pageHashKey, page]));
          expect(out.subarray(i * PAGE_HASH_BYTES, (i + 1) * PAGE_HASH_BYTES)).toEqual(
            whole.subarray(0, PAGE_HASH_BYTES),
          );
        }
      }),
      { numRuns: 50 },
    );
  });
});
