import { BackupError, isoTime } from '@foodsave-backup/kernel';
import type { HoldNote, Repository } from '@foodsave-backup/repository';
import { openRepository, withLease } from './opened.ts';
import { damagedView, showBackup } from './queries.ts';
import type { BackupView, EngineDeps } from './types.ts';
import { lastHold } from './views.ts';

const REASON_MAX = 500;

/** What a hold is asked to be. */
export interface HoldRequest {
  on: boolean;
  /** One line of at most 500 characters, with `on` only. */
  reason?: string;
}

/**
 * Pins a backup so that neither retention nor a delete removes it, or lets go of it. What is so already stays as it is.
 * Throws BACKUP_NOT_FOUND, MANIFEST_DAMAGED (only what can be read can be held), VALIDATION_FAILED, CLOCK_SKEW.
 */
export async function holdBackup(deps: EngineDeps, name: string, request: HoldRequest): Promise<BackupView> {
  const { on, reason } = request;
  if (reason !== undefined && (reason.trim() === '' || reason.length > REASON_MAX || /\p{Cc}/u.test(reason))) {
    throw new BackupError('VALIDATION_FAILED', `A reason is one line of 1 to ${REASON_MAX} characters`, {
      hint: 'Leave it out, or shorten it.',
    });
  }
  const repository = await openRepository(deps);
  // Beside anything but what deletes: that must have seen every hold.
  return withLease(
    repository,
    { purpose: 'hold', exclusive: false, conflicts: ['hold', 'cleanup', 'delete'] },
    async () => {
      const known = await repository.manifests.get(name).catch((error: unknown) => {
        if (on || !(error instanceof BackupError) || error.code !== 'MANIFEST_DAMAGED') throw error;
        return error;
      });
      const of = known instanceof BackupError ? { name } : { id: known.id };
      const last = lastHold(of, await repository.notes.list());
      const same = (last?.note.on ?? false) === on && (!on || reason === undefined || reason === last?.note.reason);
      const backup = known instanceof BackupError ? last?.note.backup : known.id;
      if (!same && backup !== undefined) {
        const stored = known instanceof BackupError ? name : known.name;
        const note: HoldNote = { type: 'hold', at: isoTime(deps.clock), backup, name: stored, on };
        await addLast(deps, repository, on && reason !== undefined ? { ...note, reason } : note, last?.key);
      }
      if (known instanceof BackupError) return damagedView(name, known.message, await repository.notes.list());
      return showBackup(deps, name);
    },
  );
}

/** Ids of one millisecond sort by chance, and clocks can stand behind: a note that is not the last would not count. */
async function addLast(
  deps: EngineDeps,
  repository: Repository,
  note: HoldNote,
  before: string | undefined,
): Promise<void> {
  for (let attempt = 0; attempt < 3; attempt++) {
    const key = await repository.notes.add(note);
    if (before === undefined || key > before) return;
    await repository.notes.delete([key]);
    await deps.clock.sleep(2);
  }
  throw new BackupError('CLOCK_SKEW', 'The clock of this machine stands before the last hold of this backup', {
    hint: 'Set the clock right, then try again. Nothing was changed.',
  });
}
