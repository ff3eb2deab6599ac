import { BackupError } from '@foodsave-backup/kernel';

/** What `get` throws for a key that holds no object. */
export function notFound(key: string, location: string, cause?: unknown): BackupError {
  return new BackupError('IO_ERROR', `There is no object ${key} in ${location}`, {
    hint: 'Run check to learn which backups need it.',
    details: { notFound: true, key },
    cause,
  });
}

export function isNotFound(error: unknown): boolean {
  return error instanceof BackupError && error.details?.['notFound'] === true;
}

/** Whether the same operation may succeed a moment later. */
export function isTransient(error: unknown): boolean {
  return error instanceof BackupError && error.details?.['transient'] === true;
}
