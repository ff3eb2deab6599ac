import type { Backup, CleanupResult, RestoreResult, Run, VerifyResult } from '@foodsave-backup/contracts/types';
import type { TrackedRun, Transition } from '../live/tracked-run.ts';

/** What a finished run answers, by what it was asked. */
export type RunResult =
  | { kind: 'backup'; name: string; notes: readonly string[] }
  | { kind: 'restore'; result: RestoreResult }
  | { kind: 'verify'; result: VerifyResult }
  | { kind: 'cleanup'; result: CleanupResult }
  | { kind: 'none' };

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

export function resultOf({ command, result }: Run): RunResult {
  if (!isRecord(result)) return { kind: 'none' };
  switch (command) {
    case 'create': {
      const backup = isRecord(result['backup']) ? (result['backup'] as Partial<Backup>) : (result as Partial<Backup>);
      const notes = Array.isArray(result['notes']) ? (result['notes'] as string[]) : [];
      return backup.name === undefined ? { kind: 'none' } : { kind: 'backup', name: backup.name, notes };
    }
    case 'restore':
    case 'undo':
      return { kind: 'restore', result: result as unknown as RestoreResult };
    case 'verify':
      return { kind: 'verify', result: result as unknown as VerifyResult };
    case 'cleanup':
      return { kind: 'cleanup', result: result as unknown as CleanupResult };
    case 'init':
    case 'check':
    case 'repair':
    case 'delete':
    case 'export':
    case 'import':
      return { kind: 'none' };
  }
}

/** The backup that a run is about, where the run says so. */
export function backupNameOf({ run, journal }: TrackedRun): string | undefined {
  const started = journal.find((event) => event.type === 'run.started');
  const asked = started?.detail['name'];
  if (typeof asked === 'string') return asked;
  const found = resultOf(run);
  if (found.kind === 'backup') return found.name;
  if (found.kind === 'restore' || found.kind === 'verify') return found.result.name;
  return undefined;
}

/** A rehearsal of a restore or a clean-up: it shows what would happen, and is no activity of its own. */
export function isDryRun({ result }: Run, journal: readonly Transition[] = []): boolean {
  const started = journal.find((event) => event.type === 'run.started');
  return started?.detail['dryRun'] === true || (isRecord(result) && result['dryRun'] === true);
}
