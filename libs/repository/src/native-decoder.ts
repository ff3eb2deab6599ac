import {
  assertFrame,
  CODEC,
  decompress,
  malformed,
  sealOfFrame,
  sha256,
  TAG_BYTES,
  type BlobEntry,
} from '@foodsave-backup/format';
import { BufferPool } from './buffer-pool.ts';
import { SMALL_FRAME } from './codec.ts';
import type { FrameDecoder } from './frame-decoder.ts';
import {
  aes256Gcm,
  called,
  cipherCalls,
  nativeSha256,
  newCipher,
  own,
  type AsyncCall,
  type Context,
} from './native-calls.ts';

const createContext = own.func('void *ZSTD_createDCtx()') as () => Context;
const zstd: AsyncCall<[Context, Uint8Array, number, Uint8Array, number]> = own.func(
  'int64_t ZSTD_decompressDCtx(void *, _Out_ uint8_t *, size_t, const uint8_t *, size_t)',
);
const { init, update, final, control } = cipherCalls('Decrypt');

/** EVP_CTRL_AEAD_SET_TAG of evp.h. */
const SET_TAG = 0x11;
/** From here on memory is used again. Bytes. */
const POOLED = 16 * 1024;
const NOTHING = Buffer.alloc(TAG_BYTES);

/** What `sealOfFrame` gives. */
interface Seal {
  key: Uint8Array;
  nonce: Uint8Array;
  context: Uint8Array;
}

/** Calls the functions of this process on buffers that exist already. */
export class NativeDecoder implements FrameDecoder {
  readonly #memory = new BufferPool();
  /** What is in use of it. */
  readonly #lent = new WeakSet<Uint8Array>();
  readonly #contexts: Context[] = [];
  readonly #ciphers: Context[] = [];

  async open(
    key: Uint8Array | undefined,
    blob: BlobEntry,
    frameInBlob: number,
    stored: Uint8Array,
  ): Promise<Uint8Array> {
    const frame = await this.#open(key, blob, frameInBlob, stored);
    if (frame !== stored) return frame;
    // Neither encrypted nor compressed.
    const copy = this.take(stored.length);
    copy.set(stored);
    return copy;
  }

  async prove(key: Uint8Array | undefined, blob: BlobEntry, frameInBlob: number, stored: Uint8Array): Promise<void> {
    const frame = await this.#open(key, blob, frameInBlob, stored);
    if (frame !== stored) this.give(frame);
  }

  /** `stored` itself when it is neither encrypted nor compressed. */
  async #open(
    key: Uint8Array | undefined,
    blob: BlobEntry,
    frameInBlob: number,
    stored: Uint8Array,
  ): Promise<Uint8Array> {
    const { frame, nonce, context } = sealOfFrame(blob, frameInBlob, stored);
    let data = stored;
    let result: Uint8Array | undefined;
    try {
      if (key !== undefined) {
        data = this.take(Math.max(0, stored.length - TAG_BYTES));
        await this.#decrypt({ key, nonce, context }, stored, data);
      }
      if (frame.codec === CODEC.zstd) {
        result = this.take(frame.length);
        await this.#decompress(data, result);
        if (key !== undefined) this.give(data);
      } else {
        result = data;
        decompress(frame.codec, data, frame.length);
      }
      assertFrame(frame, await this.sha256(result));
      return result;
    } catch (error) {
      for (const bytes of new Set([data, result])) if (bytes !== undefined && bytes !== stored) this.give(bytes);
      throw error;
    }
  }

  async sha256(data: Uint8Array): Promise<Buffer> {
    return data.length < SMALL_FRAME ? sha256(data) : nativeSha256(data);
  }

  give(bytes: Uint8Array): void {
    if (this.#lent.delete(bytes)) this.#memory.give(bytes as Buffer);
  }

  take(length: number): Buffer {
    if (length < POOLED) return Buffer.allocUnsafeSlow(length);
    const buffer = this.#memory.take(length);
    this.#lent.add(buffer);
    return buffer;
  }

  /** Nothing of `into` may be used when it throws. */
  async #decrypt({ key, nonce, context }: Seal, sealed: Uint8Array, into: Uint8Array): Promise<void> {
    if (sealed.length < TAG_BYTES) throw malformed('it is shorter than its authentication tag');
    const tag = sealed.subarray(into.length);
    const length: number[] = [0];
    const cipher = this.#ciphers.pop() ?? newCipher();
    try {
      const opened =
        init(cipher, aes256Gcm, null, key, nonce) === 1 &&
        control(cipher, SET_TAG, TAG_BYTES, tag) === 1 &&
        update(cipher, null, length, context, context.length) === 1 &&
        (into.length === 0 || (await this.#decryptInto(cipher, into, length, sealed)) === 1) &&
        (into.length === 0 || length[0] === into.length) &&
        final(cipher, NOTHING, length) === 1;
      if (!opened) throw malformed('its authentication tag does not match');
    } finally {
      this.#ciphers.push(cipher);
    }
  }

  /** Small ones on this thread: no other would be faster than the way to it and back. */
  async #decryptInto(cipher: Context, into: Uint8Array, length: number[], sealed: Uint8Array): Promise<number> {
    if (into.length < SMALL_FRAME) return update(cipher, into, length, sealed, into.length);
    return called((done) => {
      update.async(cipher, into, length, sealed, into.length, done);
    });
  }

  async #decompress(data: Uint8Array, into: Uint8Array): Promise<void> {
    const context = this.#contexts.pop() ?? createContext();
    try {
      const size =
        into.length < SMALL_FRAME
          ? zstd(context, into, into.length, data, data.length)
          : await called((done) => {
              zstd.async(context, into, into.length, data, data.length, done);
            });
      if (size < 0) throw malformed(`it cannot be decompressed (zstd says ${size})`);
      if (size !== into.length) throw malformed('its length is not the one announced');
    } finally {
      this.#contexts.push(context);
    }
  }
}
