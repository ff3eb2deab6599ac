import { BackupError } from '@foodsave-backup/kernel';
import { malformed } from './bytes.ts';
import { decodeJsonFile, encodeJsonFile } from './json-file.ts';
import { FORMAT_VERSION } from './limits.ts';

const FORMAT = 'foodsave-backup repository';

export interface RepositoryInfo {
  /** 32 hex digits. */
  id: string;
  createdAt: string;
  encrypted: boolean;
}

export function encodeRepositoryFile(info: RepositoryInfo): Buffer {
  return encodeJsonFile({
    format: FORMAT,
    version: FORMAT_VERSION,
    id: info.id,
    createdAt: info.createdAt,
    hash: 'sha256',
    compression: 'zstd',
    encryption: info.encrypted ? 'aes-256-gcm' : 'none',
  });
}

/** Throws FORMAT_TOO_NEW before anything else is judged, so that a newer layout is never called damaged. */
export function decodeRepositoryFile(file: Uint8Array): RepositoryInfo {
  const loose = parseLoosely(file);
  if (loose?.['format'] === FORMAT && typeof loose['version'] === 'number' && loose['version'] > FORMAT_VERSION) {
    throw new BackupError('FORMAT_TOO_NEW', `The repository has format version ${loose['version']}; this software knows ${FORMAT_VERSION}`, {
      hint: 'Update this software. Nothing was changed.',
    });
  }
  const json = decodeJsonFile(file, { kind: 'sha256' });
  const { id, createdAt, hash, compression, encryption } = json;
  if (json['format'] !== FORMAT || json['version'] !== FORMAT_VERSION) throw malformed('it is not a repository file');
  if (typeof id !== 'string' || !/^[0-9a-f]{32}$/.test(id) || typeof createdAt !== 'string') throw malformed('its id is missing');
  const known = hash === 'sha256' && compression === 'zstd' && (encryption === 'aes-256-gcm' || encryption === 'none');
  if (!known) {
    throw new BackupError('FORMAT_TOO_NEW', 'The repository uses algorithms that this software does not know', {
      hint: 'Update this software. Nothing was changed.',
    });
  }
  return { id, createdAt, encrypted: encryption === 'aes-256-gcm' };
}

function parseLoosely(file: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(file).toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
