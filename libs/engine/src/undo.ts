import { BackupError } from '@foodsave-backup/kernel';
import { LIVE_LEASE, openRepository, withLease } from './opened.ts';
import { recoverInterrupted } from './recover.ts';
import { lastRestore, unfinishedRestore, type LiveRestoreRecord } from './restore-record.ts';
import { restore } from './restore.ts';
import type { Command, EngineDeps, RestoreResult, RunContext, RunOutcome } from './types.ts';

/**
 * Puts back what the last restore into the live application replaced. The state before the undo is saved too, so that it can be
 * undone. Of a restore that was interrupted, what was done is taken back.
 */
export async function undo(
  deps: EngineDeps,
  command: Extract<Command, { command: 'undo' }>,
  context: RunContext,
): Promise<RunOutcome> {
  const repository = await openRepository(deps);
  const dryRun = command.dryRun === true;
  const interrupted = await unfinishedRestore(deps);
  if (interrupted !== undefined && !dryRun) {
    const settled = await withLease(repository, LIVE_LEASE, (lease) =>
      recoverInterrupted({ deps, context, repository, leaseId: lease.id, prefer: 'undo' }),
    );
    if (settled === 'undone') return { status: 'succeeded', result: takenBack(interrupted) };
  }
  const last = (dryRun ? interrupted : undefined) ?? (await lastRestore(deps));
  const listing = await repository.manifests.list();
  const name = last === undefined ? listing.manifests.find((m) => m.trigger === 'safety')?.name : last.safety;
  const manifest = listing.manifests.find((m) => m.name === name);
  if (manifest === undefined) throw nothingToUndo(last);
  return restore(
    deps,
    {
      command: 'restore',
      name: manifest.name,
      components: Object.keys(manifest.components),
      ...(dryRun ? { dryRun } : {}),
    },
    context,
  );
}

function takenBack({ restored, instances }: LiveRestoreRecord): RestoreResult {
  const note = `The interrupted restore of "${restored}" was taken back.`;
  const components = Object.fromEntries(instances.map((instance) => [instance, { files: 0, bytes: 0, notes: [note] }]));
  return { name: restored, dryRun: false, components, failed: [] };
}

function nothingToUndo(last: LiveRestoreRecord | undefined): BackupError {
  const hint = 'Restore a backup by its name instead; "list" shows them.';
  if (last === undefined || last.restored === '') {
    return new BackupError(
      'NOTHING_TO_UNDO',
      'Nothing was restored into the live application: there is nothing to undo',
      {
        hint,
      },
    );
  }
  const which = `The restore of "${last.restored}" at ${last.at} cannot be undone`;
  const why =
    last.safety === undefined ? 'no safety backup was made before it' : `its safety backup "${last.safety}" is gone`;
  return new BackupError('NOTHING_TO_UNDO', `${which}: ${why}`, { hint });
}
