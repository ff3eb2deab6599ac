import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupError, isoTime, throwIfCancelled, toBackupError } from '@foodsave-backup/kernel';
import type { CommitResult, RestoreSink } from '@foodsave-backup/component';
import { create } from './create.ts';
import { restoreEntries } from './restore-entries.ts';
import { assertSpaceAt } from './scratch.ts';
import { componentOf, configured, RestoreProgress, writeEntries, type RestoreJob } from './restore-job.ts';
import type { CreateResult, EngineDeps, RestoreResult } from './types.ts';

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
    await commitAll(job, staged);
    await remember(job.deps, { safety: undo, restored: job.manifest.name, at: isoTime(job.deps.clock), instances: [...job.instances] });
  } finally {
    for (const { sink } of staged) await sink.close();
  }
}

async function openLiveSink(job: RestoreJob, instance: string): Promise<RestoreSink> {
  const component = configured(job, instance);
  if (component === undefined) {
    throw new BackupError('COMPONENT_UNKNOWN', `${instance} is in the backup but not in the configuration, so it has no live place`, {
      hint: 'Restore it to a directory with --target, or add it to the configuration.',
    });
  }
  const stored = componentOf(job, instance);
  return component.openRestore({
    signal: job.context.signal,
    warn: (warning) => {
      job.context.emit({ type: 'warning', component: instance, ...warning });
    },
    destination: { kind: 'live' },
    facts: { capturedAt: stored.capturedAt ?? '', ...stored.facts },
    ...(job.command.paths === undefined ? {} : { paths: job.command.paths }),
    dryRun: job.command.dryRun === true,
  });
}

/** Staged data lies beside the live data until it is swapped in; the safety backup needs room in the repository. */
async function assertRoom(job: RestoreJob): Promise<void> {
  const plans = Object.values(job.result.plan ?? {});
  await assertSpaceAt(job.deps.config.baseDir, plans.reduce((sum, plan) => sum + plan.bytes, 0));
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
      { command: 'create', components: [...job.instances], trigger: 'safety', tags: [`before-restore:${job.manifest.name}`] },
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
      context.emit({ type: 'warning', code: cause.code, message: 'The live application is gone: there is nothing to save before the restore' });
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
  throw new BackupError('RESTORE_FAILED', `${result.failed.length} files of the backup are damaged, first ${first.path}: the live data was not touched`, {
    hint: 'Restore to a new directory with --target to get everything that is good, or choose another backup.',
    details: { failed: result.failed.slice(0, 20) },
  });
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
      if (done.length === 0) throw cause;
      const after = await rollBack(job, done);
      throw new BackupError(cause.code, `${instance} could not be restored: ${cause.message}. ${after}`, {
        hint: cause.hint ?? 'Repair what it names and restore again.',
        cause: error,
      });
    }
  }
}

/** Puts the components that were committed already back to what the safety backup holds. */
async function rollBack(job: RestoreJob, instances: readonly string[]): Promise<string> {
  const { undo } = job.result;
  if (undo === undefined) return `${instances.join(', ')} had been restored already and there is no safety backup`;
  try {
    const manifest = await job.repository.manifests.get(undo);
    const source = job.repository.reader(await job.repository.loadIndex());
    const { paths: _paths, ...command } = job.command;
    const back: RestoreJob = { ...job, manifest, source, instances, command, result: { ...job.result, failed: [] } };
    for (const instance of instances) {
      const sink = await openLiveSink(back, instance);
      try {
        await sink.plan(restoreEntries(source, componentOf(back, instance), undefined));
        await writeEntries(back, instance, sink, new RestoreProgress(back, manifest));
        await sink.commit();
      } finally {
        await sink.close();
      }
    }
    return `${instances.join(', ')} was put back to its state before the restore`;
  } catch (error) {
    return `${instances.join(', ')} had been restored already and could not be put back (${toBackupError(error).message}): run "undo"`;
  }
}

export interface LastRestore {
  safety: string | undefined;
  restored: string;
  at: string;
  instances: string[];
}

const LAST_RESTORE = 'last-restore.json';

/** What `undo` undoes. Durable, but only a convenience: the safety backup can always be restored by its name. */
async function remember(deps: EngineDeps, last: LastRestore): Promise<void> {
  await mkdir(deps.config.stateDir, { recursive: true, mode: 0o700 });
  const path = join(deps.config.stateDir, LAST_RESTORE);
  const file = await open(`${path}.tmp`, 'w', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(last, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.tmp`, path);
}

export async function lastRestore(deps: EngineDeps): Promise<LastRestore | undefined> {
  try {
    return JSON.parse(await readFile(join(deps.config.stateDir, LAST_RESTORE), 'utf8')) as LastRestore;
  } catch {
    return undefined;
  }
}
