import type { ErrorCode, RunStatus } from '@foodsave-backup/kernel';

/** Status codes that a problem document of this service can carry. */
export type HttpErrorStatus = 400 | 403 | 404 | 405 | 409 | 413 | 422 | 423 | 500 | 503 | 504 | 507;

/** HTTP status of each error. 4xx: the request can be changed so that it works. 5xx: the operator has to act. */
export const HTTP_STATUS: Readonly<Record<ErrorCode, HttpErrorStatus>> = {
  USAGE: 400,
  CONFIG_INVALID: 500,
  VALIDATION_FAILED: 400,
  NAME_INVALID: 400,
  NAME_TAKEN: 409,
  BACKUP_NOT_FOUND: 404,
  BACKUP_HELD: 409,
  COMPONENT_UNKNOWN: 400,
  REPOSITORY_NOT_FOUND: 503,
  REPOSITORY_EXISTS: 409,
  REPOSITORY_NOT_WRITABLE: 503,
  REPOSITORY_DAMAGED: 500,
  MANIFEST_DAMAGED: 500,
  FORMAT_TOO_NEW: 503,
  LOCKED: 423,
  WRONG_KEY: 503,
  KEY_MISSING: 503,
  NO_SPACE: 507,
  SOURCE_MISSING: 500,
  SOURCE_UNREADABLE: 500,
  SOURCE_CORRUPT: 500,
  SOURCE_LOCKED: 503,
  SOURCE_CHANGED: 500,
  COMPONENT_FAILED: 500,
  DATABASE_BACKUP_FAILED: 500,
  VERIFICATION_FAILED: 500,
  DATA_DAMAGED: 500,
  RESTORE_FAILED: 500,
  TARGET_INVALID: 400,
  PATH_NOT_FOUND: 404,
  ARCHIVE_INVALID: 422,
  CONFIRMATION_REQUIRED: 409,
  NOTHING_TO_UNDO: 409,
  RETENTION_INVALID: 400,
  CLOCK_SKEW: 503,
  RUN_NOT_FOUND: 404,
  RUN_FINISHED: 409,
  IDEMPOTENCY_CONFLICT: 422,
  HOST_NOT_ALLOWED: 403,
  ORIGIN_NOT_ALLOWED: 403,
  ROUTE_NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  PAYLOAD_TOO_LARGE: 413,
  PORT_IN_USE: 503,
  CANCELLED: 409,
  INTERRUPTED: 503,
  TIMEOUT: 504,
  IO_ERROR: 500,
  NODE_TOO_OLD: 500,
  INTERNAL: 500,
};

/** How a process ends, as restic's do: https://restic.readthedocs.io/en/stable/075_scripting.html#exit-codes */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  /** Done, but some source could not be read. */
  partial: 3,
  noRepository: 10,
  locked: 11,
  wrongKey: 12,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/**
 * Exit code of a command that failed with this error. Never 0 (nothing was done) and never 3 (which says that a backup was
 * made although some source could not be read: see `runExitCode`).
 */
export const EXIT_CODE: Readonly<Record<ErrorCode, Exclude<ExitCode, 0 | 3>>> = {
  USAGE: 2,
  CONFIG_INVALID: 2,
  VALIDATION_FAILED: 2,
  NAME_INVALID: 2,
  NAME_TAKEN: 1,
  BACKUP_NOT_FOUND: 1,
  BACKUP_HELD: 1,
  COMPONENT_UNKNOWN: 2,
  REPOSITORY_NOT_FOUND: 10,
  REPOSITORY_EXISTS: 1,
  REPOSITORY_NOT_WRITABLE: 1,
  REPOSITORY_DAMAGED: 1,
  MANIFEST_DAMAGED: 1,
  FORMAT_TOO_NEW: 1,
  LOCKED: 11,
  WRONG_KEY: 12,
  KEY_MISSING: 12,
  NO_SPACE: 1,
  SOURCE_MISSING: 1,
  SOURCE_UNREADABLE: 1,
  SOURCE_CORRUPT: 1,
  SOURCE_LOCKED: 1,
  SOURCE_CHANGED: 1,
  COMPONENT_FAILED: 1,
  DATABASE_BACKUP_FAILED: 1,
  VERIFICATION_FAILED: 1,
  DATA_DAMAGED: 1,
  RESTORE_FAILED: 1,
  TARGET_INVALID: 2,
  PATH_NOT_FOUND: 1,
  ARCHIVE_INVALID: 1,
  CONFIRMATION_REQUIRED: 2,
  NOTHING_TO_UNDO: 1,
  RETENTION_INVALID: 2,
  CLOCK_SKEW: 1,
  RUN_NOT_FOUND: 1,
  RUN_FINISHED: 1,
  IDEMPOTENCY_CONFLICT: 1,
  HOST_NOT_ALLOWED: 1,
  ORIGIN_NOT_ALLOWED: 1,
  ROUTE_NOT_FOUND: 1,
  METHOD_NOT_ALLOWED: 1,
  PAYLOAD_TOO_LARGE: 1,
  PORT_IN_USE: 2,
  CANCELLED: 130,
  INTERRUPTED: 130,
  TIMEOUT: 1,
  IO_ERROR: 1,
  NODE_TOO_OLD: 2,
  INTERNAL: 1,
};

/** Exit code of a process whose run ended (or stands) so; `error` is the code of the run's error, where it has one. */
export function runExitCode(status: RunStatus, error?: ErrorCode): ExitCode {
  switch (status) {
    case 'succeeded':
      return EXIT.done;
    case 'partial':
      return EXIT.partial;
    case 'cancelled':
    case 'interrupted':
      return EXIT.interrupted;
    case 'failed':
      return error === undefined ? EXIT.failed : EXIT_CODE[error];
    case 'queued':
    case 'running':
      return EXIT.done;
  }
}

/** One short line for people: the `title` of a problem document, the headline of an error on a terminal. */
export const ERROR_TITLE: Readonly<Record<ErrorCode, string>> = {
  USAGE: 'Wrong usage',
  CONFIG_INVALID: 'Configuration not valid',
  VALIDATION_FAILED: 'Request not valid',
  NAME_INVALID: 'Backup name not valid',
  NAME_TAKEN: 'Backup name already taken',
  BACKUP_NOT_FOUND: 'Backup not found',
  BACKUP_HELD: 'Backup is held',
  COMPONENT_UNKNOWN: 'Unknown component',
  REPOSITORY_NOT_FOUND: 'Repository not found',
  REPOSITORY_EXISTS: 'Repository already exists',
  REPOSITORY_NOT_WRITABLE: 'Backup directory not writable',
  REPOSITORY_DAMAGED: 'Repository damaged',
  MANIFEST_DAMAGED: 'Manifest damaged',
  FORMAT_TOO_NEW: 'Repository format too new',
  LOCKED: 'Repository locked',
  WRONG_KEY: 'Wrong key',
  KEY_MISSING: 'Key missing',
  NO_SPACE: 'No space left',
  SOURCE_MISSING: 'Source missing',
  SOURCE_UNREADABLE: 'Source not readable',
  SOURCE_CORRUPT: 'Source corrupt',
  SOURCE_LOCKED: 'Source locked',
  SOURCE_CHANGED: 'Source changed while it was read',
  COMPONENT_FAILED: 'Component backup failed',
  DATABASE_BACKUP_FAILED: 'Database backup failed',
  VERIFICATION_FAILED: 'Verification failed',
  DATA_DAMAGED: 'Data damaged',
  RESTORE_FAILED: 'Restore failed',
  TARGET_INVALID: 'Restore target not valid',
  PATH_NOT_FOUND: 'Path not in the backup',
  ARCHIVE_INVALID: 'Archive not valid',
  CONFIRMATION_REQUIRED: 'Confirmation required',
  NOTHING_TO_UNDO: 'Nothing to undo',
  RETENTION_INVALID: 'Retention not valid',
  CLOCK_SKEW: 'Clocks disagree',
  RUN_NOT_FOUND: 'Run not found',
  RUN_FINISHED: 'Run already finished',
  IDEMPOTENCY_CONFLICT: 'Idempotency key used for another request',
  HOST_NOT_ALLOWED: 'Host not allowed',
  ORIGIN_NOT_ALLOWED: 'Origin not allowed',
  ROUTE_NOT_FOUND: 'No such address',
  METHOD_NOT_ALLOWED: 'Method not allowed',
  PAYLOAD_TOO_LARGE: 'Request too large',
  PORT_IN_USE: 'Port in use',
  CANCELLED: 'Cancelled',
  INTERRUPTED: 'Interrupted',
  TIMEOUT: 'Timed out',
  IO_ERROR: 'Input/output error',
  NODE_TOO_OLD: 'Node.js too old',
  INTERNAL: 'Internal error',
};
