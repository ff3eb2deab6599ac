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
  nativeSha256,
  newCipher,
  own,
  type AsyncCall,
  type Context,
  type ControlCipher,
  type FinalCipher,
  type InitCipher,
  type UpdateCipher,
} from './native-calls.ts';

const createContext = own.func('void *ZSTD_createDCtx()') as () => Context;
const zstd: AsyncCall<[Context, Uint8Array, number, Uint8Array, number]> = own.func(
  'int64_t ZSTD_decompressDCtx(void *, _Out_ uint8_t *, size_t, const uint8_t *, size_t)',
);
const init = own.func('int EVP_DecryptInit_ex(void *, void *, void *, const uint8_t *, const uint8_t *)') as InitCipher;
const update = own.func(
  'int EVP_DecryptUpdate(void *, _Out_ uint8_t *, _Out_ int *, const uint8_t *, int)',
) as UpdateCipher;
const final = own.func('int EVP_DecryptFinal_ex(void *, _Out_ uint8_t *, _Out_ int *)') as FinalCipher;
const control = own.func('int EVP_CIPHER_CTX_ctrl(void *, int, int, const uint8_t *)') as ControlCipher;

/** EVP_CTRL_AEAD_SET_TAG of evp.h. */
const SET_TAG = 0x11;
/** From here on memory is used again. Bytes. */
const POOLED = 128 * 1024;
const NOTHING = Buffer.alloc(TAG_BYTES);

/** Calls the functions of this process on buffers that exist already. */
export class NativeDecoder implements FrameDecoder {
  readonly #memory = new BufferPool();
  /** What is in use of it. */
  readonly #lent = new WeakSet<Uint8Array>();
  readonly #contexts: Context[] = [];
  readonly #cipher = newCipher();

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
        this.#decrypt(key, nonce, context, stored, data);
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

  /** On this thread: no other would be faster than the way to it and back. Nothing of `into` may be used when it throws. */
  #decrypt(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array, into: Uint8Array): void {
    if (sealed.length < TAG_BYTES) throw malformed('it is shorter than its authentication tag');
    const tag = sealed.subarray(into.length);
    const length: number[] = [0];
    const opened =
      init(this.#cipher, aes256Gcm, null, key, nonce) === 1 &&
      control(this.#cipher, SET_TAG, TAG_BYTES, tag) === 1 &&
      update(this.#cipher, null, length, aad, aad.length) === 1 &&
      (into.length === 0 || update(this.#cipher, into, length, sealed, into.length) === 1) &&
      (into.length === 0 || length[0] === into.length) &&
      final(this.#cipher, NOTHING, length) === 1;
    if (!opened) throw malformed('its authentication tag does not match');
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
