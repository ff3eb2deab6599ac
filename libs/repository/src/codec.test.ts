import { createDecipheriv, randomBytes } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { portableSealing, sha256 } from '@foodsave-backup/format';
import { PortableCodec, type FrameCodec } from './codec.ts';
import { loadCodecs } from './load-codecs.ts';
import { NativeCodec, nativeSealing } from './native-codec.ts';

const OPTIONS = { level: 3 };
const CODECS: Record<string, FrameCodec> = { native: new NativeCodec(3), portable: new PortableCodec(3) };

/** Text that compresses, noise that does not, and both. */
const frame = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 3000 }),
  fc.tuple(fc.string({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 5000 })).map(([text, times]) => {
    const bytes = Buffer.from(text.repeat(times));
    return bytes.subarray(0, 200_000);
  }),
);

describe.each(Object.entries(CODECS))('the %s codec', (_name, codec) => {
  it('compresses to what node:zlib reads, on another thread and on this one', async () => {
    await fc.assert(
      fc.asyncProperty(frame, async (data) => {
        const into = Buffer.alloc(data.length + 1024, 0xee);
        const size = await codec.compress(data, into);
        expect(zstdDecompressSync(into.subarray(0, size)).equals(data)).toBe(true);
        const again = Buffer.alloc(into.length);
        const now = codec.compressNow(data, again);
        expect(zstdDecompressSync(again.subarray(0, now)).equals(data)).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it('says so when the result does not fit, and writes nothing behind what it was given', async () => {
    const noise = randomBytes(100_000);
    const room = Buffer.alloc(60_000, 0xee);
    expect(await codec.compress(noise, room.subarray(0, 50_000))).toBeUndefined();
    expect(codec.compressNow(noise, room.subarray(0, 50_000))).toBeUndefined();
    expect(room.subarray(50_000).every((byte) => byte === 0xee)).toBe(true);
    // The context is whole afterwards.
    const size = await codec.compress(Buffer.alloc(100_000), room);
    expect(zstdDecompressSync(room.subarray(0, size)).equals(Buffer.alloc(100_000))).toBe(true);
  });

  it('hashes many frames at once, each as node:crypto does', async () => {
    const frames = Array.from({ length: 40 }, (_, i) => randomBytes(1 + i * 997));
    const hashes = await Promise.all(frames.map((data) => codec.sha256(data)));
    expect(hashes.map((hash) => hash.toString('hex'))).toEqual(frames.map((data) => sha256(data).toString('hex')));
  });
});

describe.each([
  ['native', nativeSealing],
  ['portable', portableSealing],
])('the %s sealing', (_name, sealing) => {
  it('is what node:crypto opens, and touches nothing behind it', () => {
    const [key, nonce] = [randomBytes(32), randomBytes(12)];
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 5000 }), fc.uint8Array({ maxLength: 60 }), (plain, aad) => {
        const into = Buffer.alloc(plain.length + 40, 0xee);
        const length = sealing(key, nonce, aad, plain, into);
        expect(length).toBe(plain.length + 16);
        expect(into.subarray(length).every((byte) => byte === 0xee)).toBe(true);
        const opened = createDecipheriv('aes-256-gcm', key, nonce);
        opened.setAAD(aad);
        opened.setAuthTag(into.subarray(plain.length, length));
        expect(Buffer.concat([opened.update(into.subarray(0, plain.length)), opened.final()]).equals(plain)).toBe(true);
      }),
    );
  });
});

it('both sealings make the same bytes', () => {
  const [key, nonce, aad, plain] = [randomBytes(32), randomBytes(12), randomBytes(42), randomBytes(70_000)];
  const [one, other] = [Buffer.alloc(plain.length + 16), Buffer.alloc(plain.length + 16)];
  nativeSealing(key, nonce, aad, plain, one);
  portableSealing(key, nonce, aad, plain, other);
  expect(one.equals(other)).toBe(true);
});

it('where the native functions cannot be had, the portable ones take their place', async () => {
  const { frames, sealing } = await loadCodecs(OPTIONS, () => Promise.reject(new Error('no binary')));
  expect(frames).toBeInstanceOf(PortableCodec);
  expect(sealing).toBeUndefined();
  expect((await loadCodecs(OPTIONS)).frames).toBeInstanceOf(NativeCodec);
});
