import { BackupError } from '@foodsave-backup/kernel';
import { openRepository } from './opened.ts';
import { lastRestore } from './restore-record.ts';
import { restore } from './restore.ts';
import type { Command, EngineDeps, RunContext, RunOutcome } from './types.ts';

/** Puts back what the last restore into the live application replaced. The state before the undo is saved too, so that it can be undone. */
export async function undo(
  deps: EngineDeps,
  command: Extract<Command, { command: 'undo' }>,
  context: RunContext,
): Promise<RunOutcome> {
  const repository = await openRepository(deps);
  const last = await lastRestore(deps);
  const listing = await repository.manifests.list();
  const name = last === undefined ? listing.manifests.find((m) => m.trigger === 'safety')?.name : last.safety;
  const manifest = listing.manifests.find((m) => m.name === name);
  if (manifest === undefined) {
    throw new BackupError('NOTHING_TO_UNDO', 'There is no safety backup of a restore to go back to', {
      hint: 'Restore a backup by its name instead; "list" shows them.',
    });
  }
  const dryRun = command.dryRun === true ? { dryRun: true } : {};
  return restore(
    deps,
    { command: 'restore', name: manifest.name, components: Object.keys(manifest.components), ...dryRun },
    context,
  );
}
