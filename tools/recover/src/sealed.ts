import { createDecipheriv, createHash, createHmac, hkdfSync } from 'node:crypto';
// A namespace, because a named import of what Node 20 lacks would fail before the version check could speak.
import * as zlib from 'node:zlib';
import { Damage } from './errors.ts';

export const MAX_CONTENT = 256 * 1024 * 1024;
export const HEADER_SIZE = 64;
export const OBJECT = { pack: 1, index: 2, privatePart: 3 } as const;

/** What opens the objects of one repository. */
export interface Keys {
  readonly repositoryId: Buffer;
  readonly encrypted: boolean;
  readonly master: Buffer;
  readonly blobId: Buffer;
  readonly pageHash: Buffer;
  readonly manifest: Buffer;
}

export interface Header {
  readonly bytes: Buffer;
  readonly folder: number;
  readonly salt: Buffer;
}

export function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

export function hmac(key: Buffer, ...parts: readonly Uint8Array[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

function subkey(master: Buffer, salt: Buffer, info: string): Buffer {
  return Buffer.from(hkdfSync('sha256', master, salt, Buffer.from(info, 'ascii'), 32));
}

export function makeKeys(repositoryId: Buffer, encrypted: boolean, master: Buffer): Keys {
  return {
    repositoryId,
    encrypted,
    master,
    blobId: subkey(master, repositoryId, 'fsb1 blob id'),
    pageHash: subkey(master, repositoryId, 'fsb1 page hash'),
    manifest: subkey(master, repositoryId, 'fsb1 manifest'),
  };
}

/** A repository without encryption has a key that everyone can compute, so that all other rules are the same. */
export function plainKeys(repositoryId: Buffer): Keys {
  const master = sha256(Buffer.from('foodsave-backup plain repository', 'ascii'), repositoryId);
  return makeKeys(repositoryId, false, master);
}

export function objectKey(keys: Keys, kind: number, salt: Buffer): Buffer {
  return subkey(keys.master, salt, `fsb1 object ${kind}`);
}

/** Checks the 64 bytes that every object starts with. Never accepts an object that is less protected than its repository. */
export function readHeader(bytes: Buffer, kind: number, keys: Keys, what: string): Header {
  if (bytes.length < HEADER_SIZE) throw new Damage(`${what} is too short`);
  const header = bytes.subarray(0, HEADER_SIZE);
  if (header.toString('latin1', 0, 8) !== 'FSBACKUP') throw new Damage(`${what} does not start as it should`);
  const version = header[8] ?? 0;
  if (version > 1) throw new Damage(`${what} has format version ${version}, which only newer software understands`);
  const salt = header.subarray(32, 64);
  const saltIsZero = salt.every((byte) => byte === 0);
  const valid =
    version === 1 &&
    header[9] === kind &&
    header[10] === (keys.encrypted ? 1 : 0) &&
    (kind === OBJECT.pack ? (header[11] ?? 255) <= 5 : header[11] === 0) &&
    header.readUInt32LE(12) === 0 &&
    header.subarray(16, 32).equals(keys.repositoryId) &&
    (keys.encrypted || kind === OBJECT.pack || saltIsZero);
  if (!valid) throw new Damage(`${what} has a header that does not belong here`);
  return { bytes: header, folder: header[11] ?? 0, salt };
}

/** Opens AES-256-GCM: ciphertext, then a 16-byte tag. */
export function openGcm(key: Buffer, nonce: Buffer, additional: Buffer, sealed: Buffer, what: string): Buffer {
  if (sealed.length < 16) throw new Damage(`${what} is too short`);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
  decipher.setAAD(additional);
  decipher.setAuthTag(sealed.subarray(sealed.length - 16));
  const text = decipher.update(sealed.subarray(0, sealed.length - 16));
  try {
    decipher.final();
  } catch {
    throw new Damage(`${what} is damaged (authentication failed)`);
  }
  return text;
}

/** Opens what is sealed with a header: encrypted and authenticated, or followed by SHA-256(header ‖ plaintext). */
export function openPart(
  header: Header,
  kind: number,
  nonce: Buffer,
  sealed: Buffer,
  keys: Keys,
  what: string,
): Buffer {
  if (keys.encrypted) return openGcm(objectKey(keys, kind, header.salt), nonce, header.bytes, sealed, what);
  if (sealed.length < 32) throw new Damage(`${what} is too short`);
  const plain = sealed.subarray(0, sealed.length - 32);
  if (!sha256(header.bytes, plain).equals(sealed.subarray(sealed.length - 32))) {
    throw new Damage(`${what} is damaged (checksum)`);
  }
  return plain;
}

/** The content of a sealed object (an index file, the private part of a manifest). */
export function openSealed(bytes: Buffer, kind: number, keys: Keys, what: string): Buffer {
  const header = readHeader(bytes, kind, keys, what);
  const plain = openPart(header, kind, Buffer.alloc(12), bytes.subarray(HEADER_SIZE), keys, what);
  if (plain.length < 5) throw new Damage(`${what} is too short`);
  const codec = plain.readUInt8(0);
  const length = plain.readUInt32LE(1);
  if (length > MAX_CONTENT) throw new Damage(`${what} is larger than the format allows`);
  return decode(codec, plain.subarray(5), length, 64 * 1024, what);
}

/** Undoes a codec. Never makes more than `length` bytes; allocates `step` bytes at a time. */
export function decode(codec: number, stored: Buffer, length: number, step: number, what: string): Buffer {
  if (codec !== 0 && codec !== 1)
    throw new Damage(`${what} uses codec ${codec}, which only newer software understands`);
  const content = codec === 0 ? stored : unzstd(stored, length, step, what);
  if (content.length !== length) throw new Damage(`${what} has another length than it should`);
  return content;
}

function unzstd(stored: Buffer, length: number, step: number, what: string): Buffer {
  try {
    return zlib.zstdDecompressSync(stored, { maxOutputLength: Math.max(1, length), chunkSize: Math.max(1024, step) });
  } catch {
    throw new Damage(`${what} is damaged (it cannot be decompressed to its length)`);
  }
}
