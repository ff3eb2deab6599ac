import { createCipheriv, createDecipheriv, createHash, createSecretKey, hash } from 'node:crypto';
import { zstdCompressSync, zstdDecompressSync, constants } from 'node:zlib';
import { ByteReader, ByteWriter, malformed } from './bytes.ts';
import { HEADER_BYTES, makeHeader, readHeader, type ObjectKind } from './header.ts';
import type { RepositoryKeys } from './keys.ts';
import { LIMITS } from './limits.ts';

export const TAG_BYTES = 16;
export const HASH_BYTES = 32;

/** Bytes; the least that zlib takes. */
const MIN_CHUNK = 64;

export const CODEC = { raw: 0, zstd: 1 } as const;

export function sha256(bytes: Uint8Array): Buffer {
  return hash('sha256', bytes, 'buffer');
}

/**
 * Writes the AES-256-GCM ciphertext of `plain`, and behind it the 16-byte tag, to the start of `into`; gives back their bytes
 * together.
 */
export type Sealing = (
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plain: Uint8Array,
  into: Uint8Array,
) => number;

export const portableSealing: Sealing = (key, nonce, aad, plain, into) => {
  const [body, tag] = encrypt(key, nonce, aad, plain);
  into.set(body);
  into.set(tag, body.length);
  return body.length + tag.length;
};

// Of bytes instead of a key object, Node finds out by an exception that they are none, which takes longer than the cipher.
/** AES-256-GCM: ciphertext and the 16-byte tag, which are stored one behind the other. */
function encrypt(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plain: Uint8Array): [Buffer, Buffer] {
  const cipher = createCipheriv('aes-256-gcm', createSecretKey(key), nonce);
  cipher.setAAD(aad);
  const body = cipher.update(plain);
  cipher.final();
  return [body, cipher.getAuthTag()];
}

/** The reverse of `encrypt`. Throws DATA_DAMAGED when key, nonce, context or bytes are not the ones it was made with. */
export function decrypt(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Buffer {
  if (sealed.length < TAG_BYTES) throw malformed('it is shorter than its authentication tag');
  const decipher = createDecipheriv('aes-256-gcm', createSecretKey(key), nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const plain = decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES));
  try {
    decipher.final();
  } catch {
    throw malformed('its authentication tag does not match');
  }
  return plain;
}

/** zstd with a bound on the result, so that a small input can never become a large allocation. */
export function decompress(codec: number, stored: Uint8Array, rawLength: number): Uint8Array {
  if (codec === CODEC.raw) {
    if (stored.length !== rawLength) throw malformed('its length is not the one announced');
    return stored;
  }
  if (codec !== CODEC.zstd) throw malformed(`unknown codec ${codec}`);
  let raw: Buffer;
  try {
    // In one piece: by default zlib collects pieces of 16 KiB.
    const chunkSize = Math.max(MIN_CHUNK, rawLength);
    raw = zstdDecompressSync(stored, { chunkSize, maxOutputLength: Math.max(1, rawLength) });
  } catch (error) {
    throw malformed(`it cannot be decompressed (${error instanceof Error ? error.message : 'unknown'})`);
  }
  if (raw.length !== rawLength) throw malformed('its length is not the one announced');
  return raw;
}

/** A header and one sealed part (FORMAT.md section 4): index files, notes, private manifest parts. */
export function sealObject(keys: RepositoryKeys, kind: ObjectKind, content: Uint8Array, salt: Uint8Array): Buffer {
  const header = makeHeader(keys, kind, 'meta', salt);
  const packed =
    content.length > 64 ? zstdCompressSync(content, { params: { [constants.ZSTD_c_compressionLevel]: 3 } }) : content;
  const smaller = packed.length < content.length;
  const plain = new ByteWriter(content.length + 8)
    .u8(smaller ? CODEC.zstd : CODEC.raw)
    .u32(content.length)
    .bytes(smaller ? packed : content)
    .finish();
  return Buffer.concat([header.bytes, sealPart(keys, kind, header.salt, Buffer.alloc(12), header.bytes, plain)]);
}

export function openObject(keys: RepositoryKeys, kind: ObjectKind, object: Uint8Array): Uint8Array {
  const header = readHeader(keys, object, kind);
  const plain = openPart(keys, kind, header.salt, Buffer.alloc(12), header.bytes, object.subarray(HEADER_BYTES));
  const reader = new ByteReader(plain);
  const codec = reader.u8();
  const length = reader.u32();
  if (length > LIMITS.sealedBytes) throw malformed('it is too large');
  return decompress(codec, reader.bytes(reader.remaining), length);
}

/** Encrypted: AES-256-GCM with the header as additional data. Not encrypted: the bytes and SHA-256(header ‖ bytes). */
export function sealPart(
  keys: RepositoryKeys,
  kind: ObjectKind,
  salt: Uint8Array,
  nonce: Uint8Array,
  header: Uint8Array,
  plain: Uint8Array,
): Buffer {
  if (keys.encrypted) return Buffer.concat(encrypt(keys.objectKey(kind, salt), nonce, header, plain));
  return Buffer.concat([plain, createHash('sha256').update(header).update(plain).digest()]);
}

export function openPart(
  keys: RepositoryKeys,
  kind: ObjectKind,
  salt: Uint8Array,
  nonce: Uint8Array,
  header: Uint8Array,
  sealed: Uint8Array,
): Uint8Array {
  if (keys.encrypted) return decrypt(keys.objectKey(kind, salt), nonce, header, sealed);
  if (sealed.length < HASH_BYTES) throw malformed('it is shorter than its checksum');
  const plain = sealed.subarray(0, sealed.length - HASH_BYTES);
  const sum = createHash('sha256').update(header).update(plain).digest();
  if (!sum.equals(sealed.subarray(plain.length))) throw malformed('its checksum does not match');
  return plain;
}
