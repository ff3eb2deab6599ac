import { TAG_BYTES } from '@foodsave-backup/format';
import { BackupError } from '@foodsave-backup/kernel';
import type { FrameCodec, Sealing } from './codec.ts';
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

const createContext = own.func('void *ZSTD_createCCtx()') as () => Context;
const zstd: AsyncCall<[Context, Uint8Array, number, Uint8Array, number, number]> = own.func(
  'int64_t ZSTD_compressCCtx(void *, _Out_ uint8_t *, size_t, const uint8_t *, size_t, int)',
);
const { init, update, final, control } = cipherCalls('Encrypt');

/** EVP_CTRL_AEAD_GET_TAG of evp.h. */
const GET_TAG = 0x10;
/** ZSTD_error_dstSize_tooSmall of zstd_errors.h, as the negative number that a function returns for it. */
const TOO_SMALL = -70;

/** Calls the functions of this process on buffers that exist already: nothing is allocated for a frame but its hash. */
export class NativeCodec implements FrameCodec {
  readonly #level: number;
  /** Contexts keep their tables: about 1 MiB each that is not allocated again for each frame. */
  readonly #contexts: Context[] = [];
  #own: Context | undefined;

  constructor(level: number) {
    this.#level = level;
  }

  async compress(data: Uint8Array, into: Uint8Array, level = this.#level): Promise<number | undefined> {
    const context = this.#contexts.pop() ?? createContext();
    try {
      const size = await called((done) => {
        zstd.async(context, into, into.length, data, data.length, level, done);
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

  sha256(data: Uint8Array): Promise<Buffer> {
    return nativeSha256(data);
  }
}

function sizeOf(result: number): number | undefined {
  if (result === TOO_SMALL) return undefined;
  if (result < 0) throw new BackupError('INTERNAL', `zstd failed with ${result}`);
  return result;
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
