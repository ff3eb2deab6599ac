import { BackupError } from '@foodsave-backup/kernel';
import { checkRepository, type CheckReport } from '@foodsave-backup/repository';
import { openRepository, withLease } from './opened.ts';
import { rolledBack } from './seen.ts';
import {
  CHECKSUMS_OFF,
  type CheckView,
  type Command,
  type EngineDeps,
  type RunContext,
  type RunOutcome,
} from './types.ts';

/** Checks the whole repository, and says what the damage costs. Damage makes the run fail. */
export async function check(
  deps: EngineDeps,
  command: Extract<Command, { command: 'check' }>,
  context: RunContext,
): Promise<RunOutcome> {
  const repository = await openRepository(deps);
  return withLease(repository, { purpose: 'check', exclusive: false, readOnly: true }, async () => {
    const { checksums } = deps.config;
    const report = await checkRepository(repository, {
      readData: command.readData && checksums,
      ...(command.subset === undefined ? {} : { subset: command.subset }),
      progress: (doneBytes, totalBytes) => {
        context.progress({ phase: 'check', doneBytes, totalBytes, doneFiles: 0 });
      },
      signal: context.signal,
    });
    const gone = await rolledBack(deps, repository);
    if (gone !== undefined) {
      const remedy = 'Look for the missing backup in a copy of the repository.';
      report.damaged.push({ kind: 'repository', what: 'newest backup', reason: `${gone}.`, remedy });
      report.status = 'damaged';
    }
    const notes = [...report.notes, ...(await recoveryNotes(deps))];
    if (command.readData && !checksums) notes.push(CHECKSUMS_OFF);
    const result: CheckView = { ...report, notes };
    if (result.status === 'ok') return { status: 'succeeded', result };
    const error = new BackupError('DATA_DAMAGED', damageText(report), {
      hint: 'Backups that are not named are good. Take a new backup now; docs/troubleshooting.md says what to do then.',
    });
    return { status: 'failed', result, error: error.toJSON() };
  });
}

/** No backup depends on them, and each one writes them again: worth a word, no damage. */
async function recoveryNotes({ storage, recoveryFiles }: EngineDeps): Promise<string[]> {
  const notes: string[] = [];
  for (const [name, wanted] of Object.entries(await recoveryFiles())) {
    const found = await storage.get(name).catch(() => undefined);
    if (found !== undefined && Buffer.compare(found, wanted) === 0) continue;
    const what = found === undefined ? 'is missing' : 'is not the one of this software';
    notes.push(`${name} ${what}: the next backup or "repair index" writes it again.`);
  }
  return notes;
}

function damageText({ damaged, affected }: CheckReport): string {
  const places = damaged.length === 1 ? 'one place' : `${damaged.length} places`;
  const what = `The repository is damaged in ${places}`;
  const { backups, fileCount } = affected;
  if (backups.length === 0) return `${what}; every backup can still be restored whole`;
  const files = fileCount === 1 ? 'one file' : `${fileCount} files`;
  return `${what}; ${files} in ${backups.length === 1 ? 'one backup' : `${backups.length} backups`} cannot be restored whole`;
}
