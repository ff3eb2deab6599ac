import koffi from 'koffi';

// Node.js carries zstd and OpenSSL and exports their functions for native modules. The signatures here and in its two users are
// those of zstd.h (stable section) and of OpenSSL 3's evp.h and sha.h, on a 64-bit system.

export type AsyncCall<Args extends unknown[]> = ((...args: Args) => number) & {
  async(...args: [...Args, (error: Error | null, result: number) => void]): void;
};
/** A pointer to what a function has made. */
export type Context = object;

export const own = koffi.load(null);
export const newCipher = own.func('void *EVP_CIPHER_CTX_new()') as () => Context;
export const aes256Gcm = (own.func('void *EVP_aes_256_gcm()') as () => Context)();

export type InitCipher = (...args: [Context, Context | null, null, Uint8Array, Uint8Array]) => number;
export type UpdateCipher = (...args: [Context, Uint8Array | null, number[], Uint8Array, number]) => number;
export type FinalCipher = (...args: [Context, Uint8Array, number[]]) => number;
export type ControlCipher = (...args: [Context, number, number, Uint8Array]) => number;

const HASH_BYTES = 32;
const sha: AsyncCall<[Uint8Array, number, Uint8Array]> = own.func(
  'int64_t SHA256(const uint8_t *, size_t, _Out_ uint8_t *)',
);

/** 32 bytes, made on the thread pool. `data` must not change until then. */
export async function nativeSha256(data: Uint8Array): Promise<Buffer> {
  const hash = Buffer.allocUnsafe(HASH_BYTES);
  await called((done) => {
    sha.async(data, data.length, hash, done);
  });
  return hash;
}

/** What a call on the thread pool gives. */
export function called(call: (done: (error: Error | null, result: number) => void) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    call((error, result) => {
      if (error === null) resolve(result);
      else reject(error);
    });
  });
}
