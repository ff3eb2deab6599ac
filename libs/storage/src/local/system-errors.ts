import { BackupError, systemErrorCode } from '@foodsave-backup/kernel';

/** A failed fsync. The kernel reports such a loss once and then forgets it, so nothing may try the same sync again. */
export class SyncFailure extends Error {}

const NO_SPACE: readonly string[] = ['ENOSPC', 'EDQUOT'];
const NOT_WRITABLE: readonly string[] = ['EROFS', 'EACCES', 'EPERM'];
const MAY_PASS: readonly string[] = ['EAGAIN', 'EBUSY', 'EINTR', 'EMFILE', 'ENFILE', 'ENOMEM', 'ESTALE', 'ETIMEDOUT'];
/** Reads fail with EIO on a loose cable as well as on a dead sector, and reading twice does no harm. */
const MAY_PASS_ON_READ: readonly string[] = [...MAY_PASS, 'EIO'];

function includes(codes: readonly string[], code: string | undefined): boolean {
  return code !== undefined && codes.includes(code);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** How an operation that changes the directory `root` failed. */
export function writeError(error: unknown, root: string): BackupError {
  if (error instanceof BackupError) return error;
  const code = systemErrorCode(error);
  if (includes(NO_SPACE, code)) {
    return new BackupError('NO_SPACE', `No space left in ${root} (${reasonOf(error)})`, {
      hint: `Free some space or raise the quota (df -h ${root}; df -i ${root}), or run cleanup, then try again.`,
      details: { path: root },
      cause: error,
    });
  }
  if (includes(NOT_WRITABLE, code)) return notWritable(root, reasonOf(error), error);
  return new BackupError('IO_ERROR', `Writing to ${root} failed: ${reasonOf(error)}`, {
    hint: 'Check the device and the kernel log (dmesg), then try again.',
    details: { path: root, transient: !(error instanceof SyncFailure) && includes(MAY_PASS, code) },
    cause: error,
  });
}

export function notWritable(root: string, reason: string, cause: unknown): BackupError {
  return new BackupError('REPOSITORY_NOT_WRITABLE', `Backup directory not writable: ${root} (${reason})`, {
    hint: `Look at its owner, mode and mount (ls -la ${root}; findmnt -T ${root}) and give it to the user that runs the backup: chown -R "$(id -un)" ${root}`,
    details: { path: root },
    cause,
  });
}

/** How an operation that only looks at the directory `root` failed. */
export function readError(error: unknown, root: string): BackupError {
  if (error instanceof BackupError) return error;
  const code = systemErrorCode(error);
  const denied = includes(NOT_WRITABLE, code);
  return new BackupError('IO_ERROR', `Reading from ${root} failed: ${reasonOf(error)}`, {
    hint: denied
      ? `Look at the owner and the mode (ls -la ${root}) and let the user that runs the backup read it.`
      : 'Check the device and the kernel log (dmesg), then try again.',
    details: { path: root, transient: includes(MAY_PASS_ON_READ, code) },
    cause: error,
  });
}
