import { isAtOrBelow, type RestoreEntry, type RestorePlan, type RestoreRun } from '@foodsave-backup/component';
import { BackupError, printable } from '@foodsave-backup/kernel';

export function emptyPlan(): RestorePlan {
  return {
    added: [],
    replaced: [],
    deleted: [],
    counts: { added: 0, replaced: 0, deleted: 0, unchanged: 0 },
    bytes: 0,
  };
}

/** Whether a restore was asked for this entry. Throws RESTORE_FAILED for one that no database component makes. */
export function isWanted(entry: Omit<RestoreEntry, 'content'>, run: RestoreRun): boolean {
  // The directories on the way to it: the sink makes its own way, and the engine restores their modes.
  if (entry.kind === 'directory') return false;
  if (entry.kind !== 'file') {
    throw new BackupError('RESTORE_FAILED', `${printable(entry.path)} is not a file, as a database must be`, {
      hint: 'Run verify on this backup.',
    });
  }
  return run.paths === undefined || run.paths.some((path) => path === '' || isAtOrBelow(entry.path, path));
}
