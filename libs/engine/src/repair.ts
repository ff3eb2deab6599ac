import { repairIndex, repairPacks, type RepairReport } from '@foodsave-backup/repository';
import { openRepository, withLease } from './opened.ts';
import type { Command, EngineDeps, RunContext, RunOutcome } from './types.ts';

type Repair = Extract<Command, { command: 'repair' }>;

/**
 * Mends what can be mended from the repository itself. Alone: nobody may read or write what moves; a dry run only looks, and
 * keeps nobody out. `partial` when something is left that it could not mend, or that some backup has lost.
 */
export async function repair(deps: EngineDeps, command: Repair, context: RunContext): Promise<RunOutcome> {
  const repository = await openRepository(deps);
  const dryRun = command.dryRun === true;
  const request = dryRun
    ? { purpose: 'check', exclusive: false, readOnly: true }
    : { purpose: 'repair', exclusive: true };
  return withLease(repository, request, async () => {
    const how = command.what === 'index' ? repairIndex : repairPacks;
    const result: RepairReport = await how(repository, {
      dryRun,
      recoveryFiles: await deps.recoveryFiles(),
      progress: (doneBytes, totalBytes) => {
        context.progress({ phase: 'repair', doneBytes, totalBytes, doneFiles: 0 });
      },
      signal: context.signal,
    });
    const whole = result.affected.fileCount === 0 && result.actions.every(({ did }) => did !== 'left');
    return { status: whole ? 'succeeded' : 'partial', result };
  });
}
