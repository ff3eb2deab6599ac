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

type Init = (...args: [Context, Context | null, null, Uint8Array, Uint8Array]) => number;
type Update = AsyncCall<[Context, Uint8Array | null, number[], Uint8Array, number]>;
type Final = (...args: [Context, Uint8Array, number[]]) => number;
type Control = (...args: [Context, number, number, Uint8Array]) => number;

/** The four steps of an authenticated cipher; `control` gets the tag, or sets it. */
export function cipherCalls(way: 'Encrypt' | 'Decrypt'): {
  init: Init;
  update: Update;
  final: Final;
  control: Control;
} {
  const tag = way === 'Encrypt' ? '_Out_ uint8_t *' : 'const uint8_t *';
  return {
    init: own.func(`int EVP_${way}Init_ex(void *, void *, void *, const uint8_t *, const uint8_t *)`) as Init,
    update: own.func(`int EVP_${way}Update(void *, _Out_ uint8_t *, _Out_ int *, const uint8_t *, int)`) as Update,
    final: own.func(`int EVP_${way}Final_ex(void *, _Out_ uint8_t *, _Out_ int *)`) as Final,
    control: own.func(`int EVP_CIPHER_CTX_ctrl(void *, int, int, ${tag})`) as Control,
  };
}

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
