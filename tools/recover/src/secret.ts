import { createDecipheriv, scryptSync } from 'node:crypto';
import { join } from 'node:path';
import { Damage, EXIT, RecoverError } from './errors.ts';
import { base64, checkFormat, isJson, readChecked, readSmallFile, text, type Json } from './json-file.ts';
import { listFolder } from './packs.ts';
import type { Repository } from './repository.ts';
import { makeKeys, plainKeys, type Keys } from './sealed.ts';

const MAX_KEY_FILE = 64 * 1024;
const MAX_SCRYPT_MEMORY = 512 * 1024 * 1024;
const MAX_SCRYPT_P = 16;

/** Where a key may come from. */
export interface SecretSources {
  readonly keyFile: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Asks on the terminal; undefined when there is none to ask on. */
  readonly ask: (() => Promise<string>) | undefined;
}

/** The keys of a repository; undefined when it is encrypted, no key is given and `optional` is true. */
export async function unlock(
  repository: Repository,
  sources: SecretSources,
  optional: boolean,
): Promise<Keys | undefined> {
  const given = givenSecret(sources);
  if (!repository.encrypted) {
    if (given === undefined) return plainKeys(repository.id);
    throw new RecoverError(
      EXIT.usage,
      'A key was given, but this repository is not encrypted',
      'If it used to be encrypted, somebody has replaced it: do not trust it. Otherwise run the command without the key ' +
        '(unset BACKUP_ENCRYPTION_KEY and BACKUP_ENCRYPTION_KEY_FILE, leave --key-file out).',
    );
  }
  if (given !== undefined) return openWith(repository, given);
  if (optional) return undefined;
  if (!sources.ask) {
    throw new RecoverError(
      EXIT.wrongKey,
      'This repository is encrypted, and no key was given',
      'Give the key with --key-file FILE, or in BACKUP_ENCRYPTION_KEY, or run the command on a terminal and type it.',
    );
  }
  return openWith(repository, await sources.ask());
}

function givenSecret(sources: SecretSources): string | undefined {
  const { env } = sources;
  if (sources.keyFile !== undefined) return readKeyFile(sources.keyFile);
  if (env['BACKUP_ENCRYPTION_KEY']) return env['BACKUP_ENCRYPTION_KEY'];
  if (env['BACKUP_ENCRYPTION_KEY_FILE']) return readKeyFile(env['BACKUP_ENCRYPTION_KEY_FILE']);
  return undefined;
}

function readKeyFile(path: string): string {
  try {
    const bytes = readSmallFile(path, MAX_KEY_FILE, `The key file ${path}`);
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    const reason = error instanceof Damage ? error.message : `The key file ${path} is not text`;
    throw new RecoverError(
      EXIT.usage,
      reason,
      'Check the path: the file holds the key that was exported, and nothing else.',
    );
  }
}

function openWith(repository: Repository, given: string): Keys {
  const secret = Buffer.from(given.trim().normalize('NFC'), 'utf8');
  const files = listFolder(join(repository.directory, 'keys')).filter((file) => file.endsWith('.json'));
  const unusable: string[] = [];
  for (const file of files) {
    try {
      const master = unwrap(repository, `keys/${file}`, secret);
      if (master) return makeKeys(repository.id, true, master);
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      unusable.push(error.message);
    }
  }
  if (files.length === unusable.length) {
    throw new RecoverError(
      EXIT.failed,
      files.length === 0
        ? 'The folder keys/ is missing or empty; without it no key opens this repository'
        : `No file in keys/ can be used: ${unusable.join('; ')}`,
      'Copy the folder keys/ from another copy of this repository and run the command again.',
    );
  }
  throw new RecoverError(
    EXIT.wrongKey,
    unusable.length === 0
      ? 'The key does not open this repository'
      : `The key does not open this repository, and ${unusable.join('; ')}`,
    'Check that the key is complete (fsbk1- and 52 letters and digits, or your passphrase) and belongs to this repository.',
  );
}

/** The master key, or undefined when the secret is not the one of this key file. */
function unwrap(repository: Repository, file: string, secret: Buffer): Buffer | undefined {
  const { json } = readChecked(
    readSmallFile(join(repository.directory, file), MAX_KEY_FILE, file),
    'sha256',
    undefined,
    file,
  );
  checkFormat(json, 'foodsave-backup key', file);
  const id = text(json, 'id', file);
  const kdf = json['kdf'];
  if (!isJson(kdf) || kdf['name'] !== 'scrypt')
    throw new Damage(`${file} uses a key derivation that this recover.mjs does not know`);
  const { N, r, p } = scryptLimits(kdf, file);
  const salt = base64(kdf, 'salt', file, 1024);
  const nonce = base64(json, 'nonce', file, 12);
  const wrapped = base64(json, 'wrapped', file, 48);
  if (nonce.length !== 12 || wrapped.length !== 48) throw new Damage(`${file} is damaged (lengths)`);
  const key = scryptSync(secret, salt, 32, { N, r, p, maxmem: MAX_SCRYPT_MEMORY + 64 * 1024 * 1024 });
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
  const context = [
    'foodsave-backup key',
    repository.id.toString('hex'),
    id,
    'scrypt',
    N,
    r,
    p,
    salt.toString('base64'),
  ];
  decipher.setAAD(Buffer.from(context.join('|'), 'utf8'));
  decipher.setAuthTag(wrapped.subarray(32));
  const master = decipher.update(wrapped.subarray(0, 32));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return master;
}

function scryptLimits(kdf: Json, file: string): { N: number; r: number; p: number } {
  const number = (name: string): number => {
    const value = kdf[name];
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1)
      throw new Damage(`${file} is damaged (kdf)`);
    return value;
  };
  const [N, r, p] = [number('N'), number('r'), number('p')];
  if (128 * N * r > MAX_SCRYPT_MEMORY || p > MAX_SCRYPT_P) {
    throw new Damage(`${file} asks for more memory or time than the format allows`);
  }
  // r · p beyond these limits is refused by them; N must be a power of two for scrypt.
  if (N < 2 || (N & (N - 1)) !== 0) throw new Damage(`${file} is damaged (kdf)`);
  return { N, r, p };
}
