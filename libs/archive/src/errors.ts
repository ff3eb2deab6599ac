import { BackupError, printable, toBackupError } from '@foodsave-backup/kernel';

const HINT = 'Nothing was imported. Take the archive again from where it was exported, and compare its checksum.';

/** The archive is damaged, was altered, or is not one that `export` wrote. */
export function archiveInvalid(what: string, options: { hint?: string; cause?: unknown } = {}): BackupError {
  const { hint = HINT, cause } = options;
  return new BackupError('ARCHIVE_INVALID', `The archive is not valid: ${what}`, {
    hint,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** What a library for archives threw, in our words. Failures of the disk keep their own code. */
export function readFailure(error: unknown, where: string): BackupError {
  const known = toBackupError(error, 'ARCHIVE_INVALID');
  if (error instanceof BackupError || known.code !== 'ARCHIVE_INVALID') return known;
  const message = error instanceof Error ? error.message : String(error);
  return archiveInvalid(`${where} cannot be read (${printable(message)})`, { cause: error });
}
