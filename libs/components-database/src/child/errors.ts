import { BackupError, printable, systemErrorCode, toBackupError, type ErrorCode } from '@foodsave-backup/kernel';
import { resultName } from './binding.ts';

type Row = readonly [code: ErrorCode, what: string, hint: string];

const LOCKED: Row = [
  'SOURCE_LOCKED',
  'stayed locked by another process for longer than the busy timeout',
  'Let the long transaction of the application end, or raise busyTimeoutMs.',
];
const UNREADABLE: Row = [
  'SOURCE_UNREADABLE',
  'cannot be read',
  'Check the owner and the mode of the file and of its directory.',
];
const NO_SPACE: Row = ['NO_SPACE', 'could not be copied: no space left', 'Free some space for temporary files.'];

const SQLITE_RESULTS: Readonly<Record<string, Row>> = {
  BUSY: LOCKED,
  LOCKED,
  PROTOCOL: LOCKED,
  NOTADB: [
    'SOURCE_CORRUPT',
    'is not usable: file is not a database (or encrypted)',
    'Check the path. A database that is encrypted as a file can be backed up with the files component.',
  ],
  CORRUPT: [
    'SOURCE_CORRUPT',
    'is damaged: SQLite cannot read it',
    'Restore it from an earlier backup, or recover it with the .recover command of sqlite3.',
  ],
  CANTOPEN: UNREADABLE,
  READONLY: UNREADABLE,
  PERM: UNREADABLE,
  IOERR: ['SOURCE_UNREADABLE', 'cannot be read: input/output error', 'Check the device and the log of the kernel.'],
  FULL: NO_SPACE,
};

const SYSTEM_RESULTS: Readonly<Record<string, Row>> = {
  ENOENT: ['SOURCE_MISSING', 'does not exist', 'Check the path of the database in the configuration.'],
  ENOTDIR: ['SOURCE_MISSING', 'does not exist', 'Check the path of the database in the configuration.'],
  ENOSPC: NO_SPACE,
  EDQUOT: NO_SPACE,
};

/** What went wrong with the database at `path`, as one of the SOURCE_ codes (or NO_SPACE). */
export function sourceError(error: unknown, path: string): BackupError {
  if (error instanceof BackupError) return error;
  const system = systemErrorCode(error);
  const result = resultName(error);
  let row = result === undefined ? undefined : SQLITE_RESULTS[result];
  if (row === undefined && system !== undefined) row = SYSTEM_RESULTS[system] ?? UNREADABLE;
  if (row === undefined) return toBackupError(error, 'COMPONENT_FAILED');
  const detail = system ?? (error instanceof Error ? error.message : undefined);
  const suffix = row[1].includes('database') || detail === undefined ? '' : ` (${detail})`;
  return new BackupError(row[0], `${printable(path)} ${row[1]}${suffix}`, { hint: row[2], cause: error });
}

/** For sources that are there but are no regular file; a FIFO would block whoever opens it. */
export function notAFile(path: string): BackupError {
  return new BackupError('SOURCE_UNREADABLE', `${printable(path)} is not a regular file`, {
    hint: 'Name the database file itself in the configuration.',
  });
}
