import { zstdCompressSync } from 'node:zlib';
import {
  blobId,
  BLOB_KIND,
  CODEC,
  HEADER_BYTES,
  PackBuilder,
  packKey,
  RepositoryKeys,
  sha256,
  storedLength,
  type BlobEntry,
  type CompressedFrame,
} from '@foodsave-backup/format';
import { describe, expect, it } from 'vitest';
import { PortableDecoder, type FrameDecoder } from './frame-decoder.ts';
import { loadDecoder } from './load-decoder.ts';
import { NativeDecoder } from './native-decoder.ts';
import { noise } from './testing/backups.ts';

const DECODERS: Record<string, FrameDecoder> = { native: new NativeDecoder(), portable: new PortableDecoder() };
const KEYS = {
  encrypted: new RepositoryKeys(Buffer.alloc(16, 1), Buffer.alloc(32, 2)),
  plain: new RepositoryKeys(Buffer.alloc(16, 1), undefined),
};

interface Stored {
  key: Buffer | undefined;
  blob: BlobEntry;
  stored: Buffer;
}

/** A blob of one frame, as it lies in a pack. */
function storedFrame(keys: RepositoryKeys, raw: Buffer, codec: number): Stored {
  const data = codec === CODEC.zstd ? zstdCompressSync(raw) : raw;
  const frame: CompressedFrame = { length: raw.length, hash: sha256(raw), codec, data };
  const builder = new PackBuilder(keys, 'files', Buffer.alloc(32, 7));
  const blob = builder.add(BLOB_KIND.data, blobId(keys, BLOB_KIND.data, [frame]), [frame]);
  const { bytes } = builder.finish();
  const end = blob.offset + storedLength(blob);
  return { key: packKey(keys, bytes.subarray(0, HEADER_BYTES)), blob, stored: bytes.subarray(blob.offset, end) };
}

/** What a decoder makes of a frame: its bytes, or the code of the refusal. */
async function outcome(decoder: FrameDecoder, { key, blob, stored }: Stored): Promise<string> {
  return decoder.open(key, blob, 0, stored).then(
    (bytes) => {
      const text = Buffer.from(bytes).toString('latin1');
      decoder.give(bytes);
      return text;
    },
    (error: unknown) => (error as { code: string }).code,
  );
}

const text = (length: number): Buffer =>
  Buffer.from('all work and no play '.repeat(length / 21 + 1)).subarray(0, length);

describe.each(Object.entries(KEYS))('frames (%s)', (_name, keys) => {
  it.each([1, 300, 40_000, 200_000, 1024 * 1024])(
    'of %d bytes are opened alike, raw and compressed',
    async (length) => {
      for (const raw of [text(length), noise(length)]) {
        for (const codec of [CODEC.raw, CODEC.zstd]) {
          const frame = storedFrame(keys, raw, codec);
          for (const decoder of Object.values(DECODERS)) {
            expect(await outcome(decoder, frame)).toBe(raw.toString('latin1'));
            await decoder.prove(frame.key, frame.blob, 0, frame.stored);
            expect((await decoder.sha256(raw)).equals(sha256(raw))).toBe(true);
          }
        }
      }
    },
  );

  it('are refused alike with any byte of them changed, cut, or at another place', async () => {
    let refused = 0;
    for (const codec of [CODEC.raw, CODEC.zstd]) {
      const whole = storedFrame(keys, text(500), codec);
      const changed: Stored[] = [...whole.stored.keys()].map((at) => {
        const stored = Buffer.from(whole.stored);
        stored[at] = (stored[at] as number) ^ 0x55;
        return { ...whole, stored };
      });
      const cut = whole.stored.subarray(1);
      const moved = { ...whole.blob, firstFrame: 1 };
      const [frame] = whole.blob.frames as [BlobEntry['frames'][number]];
      const otherwise = (over: object): Stored => ({
        ...whole,
        blob: { ...whole.blob, frames: [{ ...frame, ...over }] },
      });
      changed.push({ ...whole, stored: cut }, otherwise({ hash: Buffer.alloc(32) }), otherwise({ length: 499 }));
      changed.push(otherwise({ length: 501 }), otherwise({ codec: 9 }));
      if (keys.encrypted) changed.push({ ...whole, blob: moved }, { ...whole, key: Buffer.alloc(32) });
      for (const frame of changed) {
        const [native, portable] = [
          await outcome(new NativeDecoder(), frame),
          await outcome(new PortableDecoder(), frame),
        ];
        expect(native).toBe(portable);
        // Without encryption, a byte of a zstd header may mean nothing: then the bytes are proven by their hash.
        expect(['DATA_DAMAGED', text(500).toString('latin1')]).toContain(native);
        if (native === 'DATA_DAMAGED') refused++;
        else expect(keys.encrypted || codec === CODEC.raw).toBe(false);
      }
    }
    expect(refused).toBeGreaterThan(500);
  });

  it('keep their bytes while others are opened, until they are given back', async () => {
    const decoder = new NativeDecoder();
    const contents = Array.from({ length: 12 }, (_, i) => noise(150_000 + i * 60_000, i + 1));
    const frames = contents.map((raw, i) => storedFrame(keys, raw, i % 2 === 0 ? CODEC.raw : CODEC.zstd));
    for (let round = 0; round < 3; round++) {
      const opened = await Promise.all(frames.map(({ key, blob, stored }) => decoder.open(key, blob, 0, stored)));
      opened.forEach((bytes, i) => expect(Buffer.compare(bytes, contents[i] as Buffer)).toBe(0));
      opened.forEach((bytes, i) => {
        if (i % 3 !== round) decoder.give(bytes);
      });
      const refusal = decoder.open(
        Buffer.alloc(32),
        { ...(frames[1] as Stored).blob, firstFrame: 3 },
        0,
        (frames[1] as Stored).stored,
      );
      await expect(refusal).rejects.toMatchObject({ code: 'DATA_DAMAGED' });
      for (const { key, blob, stored } of frames) decoder.give(await decoder.open(key, blob, 0, stored));
      opened.forEach((bytes, i) => {
        if (i % 3 === round) expect(Buffer.compare(bytes, contents[i] as Buffer)).toBe(0);
      });
    }
  });
});

it('without the native functions the portable ones are taken', async () => {
  const none = (): Promise<never> => Promise.reject(new Error('no binary'));
  expect(await loadDecoder(none)).toBeInstanceOf(PortableDecoder);
  expect(await loadDecoder()).toBeInstanceOf(NativeDecoder);
});
