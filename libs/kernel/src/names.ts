import { BackupError } from './errors.ts';

/** Names that the repository layout or the software itself needs, published in FORMAT.md. Compared without case. */
export const RESERVED_NAMES: readonly string[] = [
  'repository',
  'keys',
  'database',
  'files',
  'config',
  'vector_store',
  'custom',
  'meta',
  'index',
  'manifests',
  'notes',
  'locks',
  'recovery',
  'recover',
  'quarantine',
  'parity',
  'state',
  'tmp',
  'latest',
  'con',
  'prn',
  'aux',
  'nul',
];

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** Throws NAME_INVALID unless `name` may name a backup. Uniqueness is the repository's to check. */
export function assertBackupName(name: string): void {
  if (!NAME.test(name)) {
    throw new BackupError('NAME_INVALID', `"${printable(name)}" is not a valid backup name`, {
      hint: 'Use 1 to 100 letters, digits, dots, dashes or underscores, and start with a letter or a digit.',
    });
  }
  const lower = name.toLowerCase();
  if (RESERVED_NAMES.includes(lower) || RESERVED_NAMES.includes(lower.split('.')[0] ?? '')) {
    throw new BackupError('NAME_INVALID', `"${name}" is a reserved name`, {
      hint: `Choose another one. Reserved: ${RESERVED_NAMES.join(', ')}, also with an extension.`,
    });
  }
}

/** At most 120 characters of a value from outside, control characters shown as `?`, for messages. */
export function printable(value: string): string {
  const clean = value.replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, '?');
  return clean.length > 120 ? `${clean.slice(0, 117)}...` : clean;
}

/** `full_backup_YYYYMMDD_HHMMSS` in UTC. `ms` is milliseconds since the epoch. */
export function defaultBackupName(ms: number): string {
  const iso = new Date(ms).toISOString();
  return `full_backup_${iso.slice(0, 10).replaceAll('-', '')}_${iso.slice(11, 19).replaceAll(':', '')}`;
}
