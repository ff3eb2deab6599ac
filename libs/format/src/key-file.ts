import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { BackupError } from '@foodsave-backup/kernel';
import { malformed } from './bytes.ts';
import { decodeJsonFile, encodeJsonFile } from './json-file.ts';
import { LIMITS } from './limits.ts';

const SCRYPT_BYTES_MAX = 512 * 1024 * 1024;
const SALT_BYTES_MAX = 1024;
const GENERATED = /^fsbk1-[a-z2-7]{52}$/;
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** What a person keeps: the content of the key file or of BACKUP_ENCRYPTION_KEY, without white space at its ends, in NFC. */
export function normaliseSecret(text: string): string {
  return text.trim().normalize('NFC');
}

/** Whether a secret is one that `generateSecret` makes: 256 random bits. */
export function isGenerated(secret: string): boolean {
  return GENERATED.test(secret);
}

/** 256 random bits as `fsbk1-` and 52 characters of base 32 (RFC 4648, lower case). */
export function generateSecret(): string {
  let bits = 0n;
  for (const byte of randomBytes(32)) bits = (bits << 8n) | BigInt(byte);
  bits <<= 4n;
  let text = '';
  for (let i = 0; i < 52; i++) {
    text = BASE32.charAt(Number(bits & 31n)) + text;
    bits >>= 5n;
  }
  return `fsbk1-${text}`;
}

interface Kdf {
  name: 'scrypt';
  N: number;
  r: number;
  p: number;
  salt: string;
}

export interface KeyFileInfo {
  id: string;
  createdAt: string;
  label: string;
}

function derive(secret: string, kdf: Kdf): Promise<Buffer> {
  const memory = 128 * kdf.N * kdf.r;
  return new Promise((resolve, reject) => {
    const options = { N: kdf.N, r: kdf.r, p: kdf.p, maxmem: memory + 32 * 1024 * 1024 };
    scrypt(Buffer.from(secret, 'utf8'), Buffer.from(kdf.salt, 'base64'), 32, options, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}

function context(repositoryId: string, keyId: string, kdf: Kdf): Buffer {
  return Buffer.from(
    `foodsave-backup key|${repositoryId}|${keyId}|scrypt|${kdf.N}|${kdf.r}|${kdf.p}|${kdf.salt}`,
    'utf8',
  );
}

/** Wraps the 32-byte master key under a secret: the bytes of `keys/<id>.json`. */
export async function wrapMasterKey(
  master: Uint8Array,
  secret: string,
  repositoryId: string,
  info: KeyFileInfo,
): Promise<Buffer> {
  const normal = normaliseSecret(secret);
  const kdf: Kdf = {
    name: 'scrypt',
    // 256 random bits are not guessed, however fast a guess is.
    N: GENERATED.test(normal) ? 2 ** 10 : 2 ** 17,
    r: 8,
    p: 1,
    salt: randomBytes(32).toString('base64'),
  };
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', await derive(normal, kdf), nonce);
  cipher.setAAD(context(repositoryId, info.id, kdf));
  const wrapped = Buffer.concat([cipher.update(master), cipher.final(), cipher.getAuthTag()]);
  return encodeJsonFile({
    format: 'foodsave-backup key',
    version: 1,
    id: info.id,
    createdAt: info.createdAt,
    label: info.label,
    kdf,
    nonce: nonce.toString('base64'),
    wrapped: wrapped.toString('base64'),
  });
}

interface ParsedKeyFile extends KeyFileInfo {
  kdf: Kdf;
  nonce: Buffer;
  wrapped: Buffer;
}

function isPowerOfTwo(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 2 && Number.isInteger(Math.log2(n));
}

/** RFC 7914 section 2 asks for N < 2^(16 r); the rest bounds what a forged file can make a reader spend. */
function isCost(N: number, r: number, p: number): boolean {
  const small = (n: number): boolean => Number.isSafeInteger(n) && n >= 1;
  return isPowerOfTwo(N) && small(r) && small(p) && p <= 16 && 128 * N * r <= SCRYPT_BYTES_MAX && N < 2 ** (16 * r);
}

export function parseKeyFile(file: Uint8Array): ParsedKeyFile {
  if (file.length > LIMITS.keyFileBytes) throw malformed('a key file is too large');
  const json = decodeJsonFile(file, { kind: 'sha256' });
  if (json['format'] !== 'foodsave-backup key') throw malformed('it is not a key file');
  if (json['version'] !== 1) {
    throw new BackupError('FORMAT_TOO_NEW', 'A key file was written by a newer version', {
      hint: 'Update this software.',
    });
  }
  const kdf = json['kdf'] as Partial<Kdf> | undefined;
  const { id, createdAt, label, nonce, wrapped } = json;
  const strings = [id, createdAt, label, nonce, wrapped, kdf?.salt];
  if (strings.some((s) => typeof s !== 'string') || kdf?.name !== 'scrypt') throw malformed('a key file is incomplete');
  if (Buffer.byteLength(kdf.salt as string, 'base64') > SALT_BYTES_MAX)
    throw malformed('the salt of a key file is too long');
  const { N = 0, r = 0, p = 0 } = kdf;
  if (!isCost(N, r, p)) throw malformed('the cost of a key file is out of range');
  return {
    id: id as string,
    createdAt: createdAt as string,
    label: label as string,
    kdf: { name: 'scrypt', N, r, p, salt: kdf.salt as string },
    nonce: Buffer.from(nonce as string, 'base64'),
    wrapped: Buffer.from(wrapped as string, 'base64'),
  };
}

/** The master key, or `undefined` when the secret does not open this key file. Throws DATA_DAMAGED on a malformed one. */
export async function unwrapMasterKey(
  file: Uint8Array,
  secret: string,
  repositoryId: string,
): Promise<Buffer | undefined> {
  const key = parseKeyFile(file);
  if (key.nonce.length !== 12 || key.wrapped.length !== 48) throw malformed('a key file is incomplete');
  const decipher = createDecipheriv('aes-256-gcm', await derive(normaliseSecret(secret), key.kdf), key.nonce, {
    authTagLength: 16,
  });
  decipher.setAAD(context(repositoryId, key.id, key.kdf));
  decipher.setAuthTag(key.wrapped.subarray(32));
  const master = decipher.update(key.wrapped.subarray(0, 32));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return master;
}
