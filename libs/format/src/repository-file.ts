import { BackupError } from '@foodsave-backup/kernel';
import { malformed } from './bytes.ts';
import { decodeJsonFile, encodeJsonFile, newerVersionOf } from './json-file.ts';
import { FORMAT_VERSION, LIMITS } from './limits.ts';

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

/**
 * A newer layout is FORMAT_TOO_NEW, never damage, even when its checksum is of an unknown kind; a version that only a flipped
 * bit made newer is DATA_DAMAGED, so that the other copy is used.
 */
export function decodeRepositoryFile(file: Uint8Array): RepositoryInfo {
  if (file.length > LIMITS.repositoryFileBytes) throw malformed('it is too large');
  const newer = newerVersionOf(file, FORMAT, FORMAT_VERSION);
  if (newer !== undefined) {
    throw new BackupError(
      'FORMAT_TOO_NEW',
      `The repository has format version ${newer}; this software knows ${FORMAT_VERSION}`,
      {
        hint: 'Update this software. Nothing was changed.',
      },
    );
  }
  const json = decodeJsonFile(file, { kind: 'sha256' });
  const { id, createdAt, hash, compression, encryption } = json;
  if (json['format'] !== FORMAT || json['version'] !== FORMAT_VERSION) throw malformed('it is not a repository file');
  if (typeof id !== 'string' || !/^[0-9a-f]{32}$/.test(id) || typeof createdAt !== 'string')
    throw malformed('its id is missing');
  const known = hash === 'sha256' && compression === 'zstd' && (encryption === 'aes-256-gcm' || encryption === 'none');
  if (!known) {
    throw new BackupError('FORMAT_TOO_NEW', 'The repository uses algorithms that this software does not know', {
      hint: 'Update this software. Nothing was changed.',
    });
  }
  return { id, createdAt, encrypted: encryption === 'aes-256-gcm' };
}
