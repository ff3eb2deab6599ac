import { BackupError, isoTime, throwIfCancelled, toBackupError } from '@foodsave-backup/kernel';
import type { CommitResult, RestoreSink } from '@foodsave-backup/component';
import { create } from './create.ts';
import { openLiveSink, putBack } from './live-sink.ts';
import { restoreEntries } from './restore-entries.ts';
import { beginRecord, endRecord } from './restore-record.ts';
import { assertSpaceAt } from './scratch.ts';
import { componentOf, RestoreProgress, writeEntries, type RestoreJob } from './restore-job.ts';
import type { CreateResult, RestoreResult } from './types.ts';

interface Staged {
  instance: string;
  sink: RestoreSink;
}

/**
 * Restores into the live application: plan → safety backup → stage everything → commit. Nothing live is touched before every
 * component is staged and checked; a commit that fails is undone by its sink, and what was committed before it comes back from
 * the safety backup.
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
    await beginRecord(job.deps, {
      ...(undo === undefined ? {} : { safety: undo }),
      restored: job.manifest.name,
      at: isoTime(job.deps.clock),
      instances: [...job.instances],
      ...(command.paths === undefined ? {} : { paths: [...command.paths] }),
    });
    await commitAll(job, staged);
    await endRecord(job.deps, 'done');
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

async function commitAll(job: RestoreJob, staged: readonly Staged[]): Promise<void> {
  const { context, result } = job;
  const done: string[] = [];
  for (const { instance, sink } of staged) {
    try {
      const committed: CommitResult = await sink.commit();
      result.components[instance] = committed;
      done.push(instance);
      context.emit({ type: 'component.finished', component: instance, status: 'complete' });
    } catch (error) {
      const cause = toBackupError(error, 'RESTORE_FAILED');
      if (done.length === 0) {
        await endRecord(job.deps, 'undone');
        throw cause;
      }
      const { undone, after } = await rollBack(job, done);
      await endRecord(job.deps, undone ? 'undone' : 'done');
      throw new BackupError(cause.code, `${instance} could not be restored: ${cause.message}. ${after}`, {
        hint: cause.hint ?? 'Repair what it names and restore again.',
        cause: error,
        details: { ...cause.details, undone },
      });
    }
  }
}

/** Puts the components that were committed already back to what the safety backup holds. */
async function rollBack(job: RestoreJob, instances: readonly string[]): Promise<{ undone: boolean; after: string }> {
  const { undo } = job.result;
  const names = instances.join(', ');
  if (undo === undefined)
    return { undone: false, after: `${names} had been restored already and there is no safety backup` };
  try {
    const manifest = await job.repository.manifests.get(undo);
    const source = job.repository.reader(await job.repository.loadIndex());
    const { paths: _paths, ...command } = job.command;
    // Whoever cancels now wants the state before the restore all the more.
    const context = { ...job.context, signal: new AbortController().signal };
    const saved = instances.filter((instance) => manifest.components[instance] !== undefined);
    await putBack({
      ...job,
      context,
      manifest,
      source,
      instances: saved,
      command,
      result: { ...job.result, failed: [] },
    });
    if (saved.length === instances.length)
      return { undone: true, after: `${names} was put back to its state before the restore` };
    const fresh = instances.filter((instance) => !saved.includes(instance)).join(', ');
    return {
      undone: false,
      after: `What was there before the restore was put back; ${fresh} did not exist before and is restored`,
    };
  } catch (error) {
    const { message } = toBackupError(error);
    return {
      undone: false,
      after: `${names} had been restored already and could not be put back (${message}): run "undo"`,
    };
  }
}
