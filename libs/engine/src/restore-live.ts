import { BackupError, throwIfCancelled, toBackupError } from '@foodsave-backup/kernel';
import { create } from './create.ts';
import { openLiveSink } from './live-sink.ts';
import { restoreEntries } from './restore-entries.ts';
import { ensureRecords } from './restore-record.ts';
import { swapAll, type Staged } from './restore-swap.ts';
import { assertSpaceAt } from './scratch.ts';
import { componentOf, RestoreProgress, writeEntries, type RestoreJob } from './restore-job.ts';
import type { CreateResult, RestoreResult } from './types.ts';

/**
 * Restores into the live application: plan → safety backup → stage everything → swap all components as one. Nothing live is
 * touched before every component is staged, checked and prepared.
 */
export async function restoreLive(job: RestoreJob): Promise<void> {
  const { command, result, context } = job;
  const staged: Staged[] = [];
  try {
    result.plan = {};
    for (const instance of job.instances) {
      const sink = await openLiveSink(job, instance);
      staged.push({ instance, sink });
      result.plan[instance] = await sink.plan(restoreEntries(job.source, componentOf(job, instance), command.paths));
    }
    if (command.dryRun === true) return;
    await assertRoom(job);
    const undo = await safetyBackup(job);
    if (undo !== undefined) result.undo = undo;
    const progress = new RestoreProgress(job, job.manifest);
    progress.phase = 'stage';
    for (const { instance, sink } of staged) {
      context.emit({ type: 'component.started', component: instance });
      await writeEntries(job, instance, sink, progress);
    }
    assertNothingFailed(result);
    throwIfCancelled(context.signal);
    await swapAll(job, staged);
  } finally {
    for (const { sink } of staged) await sink.close();
  }
}

/** Staged data lies beside the live data until it is swapped in; the safety backup needs room in the repository. */
async function assertRoom(job: RestoreJob): Promise<void> {
  const plans = Object.values(job.result.plan ?? {});
  await assertSpaceAt(
    job.deps.config.baseDir,
    plans.reduce((sum, plan) => sum + plan.bytes, 0),
  );
  const free = await job.deps.freeBytes();
  if (free !== undefined && free < 1024 * 1024 && job.command.withoutSafety !== true) {
    throw new BackupError('NO_SPACE', `Only ${free} bytes are free for the safety backup`, {
      hint: 'Free some space or run cleanup, then try again. Nothing was changed.',
    });
  }
}

/** Name of the backup that `undo` restores. */
async function safetyBackup(job: RestoreJob): Promise<string | undefined> {
  const { deps, context, command } = job;
  if (command.withoutSafety === true) return undefined;
  await ensureRecords(deps);
  try {
    const outcome = await create(
      deps,
      {
        command: 'create',
        components: [...job.instances],
        trigger: 'safety',
        tags: [`before-restore:${job.manifest.name}`],
      },
      context,
      job.leaseId,
    );
    const { backup } = outcome.result as CreateResult;
    // A corrupt source is saved as it is; what could not be captured at all is not.
    const failed = Object.values(backup.components).some((c) => c.status !== 'complete');
    if (!failed) return backup.name;
    throw new BackupError('COMPONENT_FAILED', `The safety backup "${backup.name}" is ${backup.status}`);
  } catch (error) {
    throwIfCancelled(context.signal);
    const cause = toBackupError(error);
    if (cause.code === 'SOURCE_MISSING') {
      context.emit({
        type: 'warning',
        code: cause.code,
        message: 'The live application is gone: there is nothing to save before the restore',
      });
      return undefined;
    }
    throw new BackupError('RESTORE_FAILED', `The safety backup failed, so nothing was restored: ${cause.message}`, {
      hint: 'Repair what it names, or restore to a new directory with --target. --without-safety goes on without the possibility to undo.',
      cause: error,
    });
  }
}

function assertNothingFailed(result: RestoreResult): void {
  const [first] = result.failed;
  if (first === undefined) return;
  throw new BackupError(
    'RESTORE_FAILED',
    `${result.failed.length} files of the backup are damaged, first ${first.path}: the live data was not touched`,
    {
      hint: 'Restore to a new directory with --target to get everything that is good, or choose another backup.',
      details: { failed: result.failed.slice(0, 20) },
    },
  );
}
