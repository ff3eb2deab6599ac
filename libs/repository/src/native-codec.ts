import koffi from 'koffi';
import { BackupError } from '@foodsave-backup/kernel';
import type { CodecOptions, FrameCodec, Sealing } from './codec.ts';

// Node.js carries zstd and OpenSSL and exports their functions for native modules. These signatures are those of zstd.h
// (stable section) and of OpenSSL 3's evp.h and sha.h, on a 64-bit system.
type Async<Args extends unknown[]> = ((...args: Args) => number) & {
  async(...args: [...Args, (error: Error | null, result: number) => void]): void;
};
type Context = object;

const own = koffi.load(null);
const createContext = own.func('void *ZSTD_createCCtx()') as () => Context;
const zstd: Async<[Context, Uint8Array, number, Uint8Array, number, number]> = own.func(
  'int64_t ZSTD_compressCCtx(void *, _Out_ uint8_t *, size_t, const uint8_t *, size_t, int)',
);
const sha: Async<[Uint8Array, number, Uint8Array]> = own.func(
  'int64_t SHA256(const uint8_t *, size_t, _Out_ uint8_t *)',
);
const newCipher = own.func('void *EVP_CIPHER_CTX_new()') as () => Context;
const aes256Gcm = (own.func('void *EVP_aes_256_gcm()') as () => Context)();
const init = own.func('int EVP_EncryptInit_ex(void *, void *, void *, const uint8_t *, const uint8_t *)') as (
  ...args: [Context, Context | null, null, Uint8Array, Uint8Array]
) => number;
const update = own.func('int EVP_EncryptUpdate(void *, _Out_ uint8_t *, _Out_ int *, const uint8_t *, int)') as (
  ...args: [Context, Uint8Array | null, number[], Uint8Array, number]
) => number;
const final = own.func('int EVP_EncryptFinal_ex(void *, _Out_ uint8_t *, _Out_ int *)') as (
  ...args: [Context, Uint8Array, number[]]
) => number;
const control = own.func('int EVP_CIPHER_CTX_ctrl(void *, int, int, _Out_ uint8_t *)') as (
  ...args: [Context, number, number, Uint8Array]
) => number;

/** EVP_CTRL_AEAD_GET_TAG of evp.h. */
const GET_TAG = 0x10;
const TAG_BYTES = 16;
const HASH_BYTES = 32;
/** ZSTD_error_dstSize_tooSmall of zstd_errors.h, as the negative number that a function returns for it. */
const TOO_SMALL = -70;

/** Calls the functions of this process on buffers that exist already: nothing is allocated for a frame but its hash. */
export class NativeCodec implements FrameCodec {
  readonly #level: number;
  /** Contexts keep their tables: about 1 MiB each that is not allocated again for each frame. */
  readonly #contexts: Context[] = [];
  #own: Context | undefined;

  constructor({ level }: CodecOptions) {
    this.#level = level;
  }

  async compress(data: Uint8Array, into: Uint8Array): Promise<number | undefined> {
    const context = this.#contexts.pop() ?? createContext();
    try {
      const size = await called((done) => {
        zstd.async(context, into, into.length, data, data.length, this.#level, done);
      });
      return sizeOf(size);
    } finally {
      this.#contexts.push(context);
    }
  }

  compressNow(data: Uint8Array, into: Uint8Array, level = this.#level): number | undefined {
    this.#own ??= createContext();
    return sizeOf(zstd(this.#own, into, into.length, data, data.length, level));
  }

  async sha256(data: Uint8Array): Promise<Buffer> {
    const hash = Buffer.allocUnsafe(HASH_BYTES);
    await called((done) => {
      sha.async(data, data.length, hash, done);
    });
    return hash;
  }
}

function sizeOf(result: number): number | undefined {
  if (result === TOO_SMALL) return undefined;
  if (result < 0) throw new BackupError('INTERNAL', `zstd failed with ${result}`);
  return result;
}

function called(call: (done: (error: Error | null, result: number) => void) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    call((error, result) => {
      if (error === null) resolve(result);
      else reject(error);
    });
  });
}

let cipher: Context | undefined;

/** AES-256-GCM straight into a pack. On this thread: no thread of its own would be faster than the way to it and back. */
export const nativeSealing: Sealing = (key, nonce, aad, plain, into) => {
  cipher ??= newCipher();
  const length: number[] = [0];
  const sealed =
    init(cipher, aes256Gcm, null, key, nonce) === 1 &&
    update(cipher, null, length, aad, aad.length) === 1 &&
    update(cipher, into, length, plain, plain.length) === 1 &&
    length[0] === plain.length &&
    final(cipher, into.subarray(plain.length), length) === 1 &&
    control(cipher, GET_TAG, TAG_BYTES, into.subarray(plain.length)) === 1;
  if (!sealed) throw new BackupError('INTERNAL', 'A frame could not be encrypted');
  return plain.length + TAG_BYTES;
};
