import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blobId, BLOB_KIND, type ByteSpan } from './blob.ts';
import { HEADER_BYTES } from './header.ts';
import { decodeDirectory, encodeDirectory, openFrame, PackBuilder, packKey, type CompressedFrame } from './pack.ts';
import { hasBytes, isWhole } from './punched.ts';
import { CODEC, sha256 } from './seal.ts';
import { attempt, BOTH, bytesOf, mutated, SALT } from './testing/arbitraries.ts';

/** A frame, and for each of its bytes whether it is kept. */
const frames = fc
  .array(
    bytesOf(1, 40).chain((content) =>
      fc.record({
        content: fc.constant(content),
        kept: fc.array(fc.boolean(), { minLength: content.length, maxLength: content.length }),
      }),
    ),
    { minLength: 1, maxLength: 5 },
  )
  .filter((all) => all.some(({ kept }) => kept.includes(true)));

interface Holed {
  content: Buffer;
  kept: boolean[];
}

function spansOf(kept: readonly boolean[]): ByteSpan[] {
  const gone: ByteSpan[] = [];
  for (const [at, keep] of kept.entries()) {
    if (keep) continue;
    const last = gone.at(-1);
    if (last?.to === at) last.to++;
    else gone.push({ from: at, to: at + 1 });
  }
  return gone;
}

function compressed({ content, kept }: Holed): CompressedFrame {
  const base = { length: content.length, hash: sha256(content), codec: CODEC.raw };
  const gone = spansOf(kept);
  if (gone.length === 0) return { ...base, data: content };
  if (!kept.includes(true)) return { ...base, data: Buffer.alloc(0), punched: { gone } };
  const left = Buffer.from(content);
  for (const { from, to } of gone) left.fill(0, from, to);
  return { ...base, data: left, punched: { gone, hash: sha256(left) } };
}

const aRange = (length: number): fc.Arbitrary<[number, number]> =>
  fc.tuple(fc.nat(length), fc.nat(length)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)]);

describe.each(BOTH)('a punched blob (%s)', (_name, keys) => {
  it('round-trips; its id is that of the whole blob, and what is left of each frame opens', () => {
    fc.assert(
      fc.property(frames, (all) => {
        const pack = new PackBuilder(keys, 'files', SALT);
        const whole = all.map(({ content }) => ({ length: content.length, hash: sha256(content) }));
        pack.add(BLOB_KIND.data, blobId(keys, BLOB_KIND.data, whole), all.map(compressed));
        const next = Buffer.from('the next blob');
        const after = [{ length: next.length, hash: sha256(next), codec: CODEC.raw, data: next }];
        pack.add(BLOB_KIND.data, blobId(keys, BLOB_KIND.data, after), after);
        const { bytes, blobs } = pack.finish();
        const read = decodeDirectory(encodeDirectory(blobs), bytes.length);
        expect(read).toEqual(blobs);
        const key = packKey(keys, bytes.subarray(0, HEADER_BYTES));
        for (const blob of read) {
          expect(blobId(keys, blob.kind, blob.frames)).toEqual(blob.id);
          let at = blob.offset;
          for (const [i, { stored }] of blob.frames.entries()) {
            const piece = bytes.subarray(at, at + stored);
            at += stored;
            if (stored === 0) expect(() => openFrame(key, blob, i, piece)).toThrow();
            else if (blob === read[0]) expect(openFrame(key, blob, i, piece)).toEqual(compressed(all[i]!).data);
            else expect(openFrame(key, blob, i, piece)).toEqual(next);
          }
        }
      }),
    );
  });

  it('has the bytes that are not gone, and no others', () => {
    const cases = frames.chain((all) => {
      const kept = all.flatMap((frame) => frame.kept);
      return fc.record({ all: fc.constant(all), kept: fc.constant(kept), range: aRange(kept.length) });
    });
    fc.assert(
      fc.property(cases, ({ all, kept, range: [from, to] }) => {
        const list = new PackBuilder(keys, 'files', SALT).add(BLOB_KIND.pages, Buffer.alloc(32), all.map(compressed));
        expect(hasBytes(list.frames, from, to)).toBe(kept.slice(from, to).every(Boolean));
        expect(hasBytes(list.frames, from, kept.length + 1)).toBe(false);
        expect(isWhole(list.frames)).toBe(kept.every(Boolean));
      }),
    );
  });

  it('is refused or harmless when its record is changed', () => {
    const holed: Holed[] = [
      { content: Buffer.from('abcdefgh'), kept: [true, false, false, true, true, false, true, true] },
      { content: Buffer.from('ijkl'), kept: [false, false, false, false] },
      { content: Buffer.from('mn'), kept: [true, true] },
    ];
    const pack = new PackBuilder(keys, 'files', SALT);
    pack.add(BLOB_KIND.data, Buffer.alloc(32, 1), holed.map(compressed));
    const { bytes, blobs } = pack.finish();
    fc.assert(
      fc.property(mutated(encodeDirectory(blobs)), (record) => {
        const decoded = attempt(() => decodeDirectory(record, bytes.length));
        if ('refused' in decoded) return;
        // What is accepted says the same when it is written again.
        expect(decodeDirectory(encodeDirectory(decoded.value), bytes.length)).toEqual(decoded.value);
      }),
    );
  });

  it('is never a node or page hashes, and keeps something', () => {
    const holed = compressed({ content: Buffer.from('ab'), kept: [true, false] });
    const pack = new PackBuilder(keys, 'meta', SALT);
    pack.add(BLOB_KIND.tree, Buffer.alloc(32, 1), [holed]);
    const { bytes, blobs } = pack.finish();
    expect(() => decodeDirectory(encodeDirectory(blobs), bytes.length)).toThrow('never punched');
    const nothing = compressed({ content: Buffer.from('ab'), kept: [false, false] });
    expect(() => new PackBuilder(keys, 'files', SALT).add(BLOB_KIND.data, Buffer.alloc(32), [nothing])).toThrow();
  });
});
