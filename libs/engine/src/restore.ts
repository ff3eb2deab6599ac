import { mkdir, readdir } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { BackupError, printable, systemErrorCode, throwIfCancelled, toBackupError } from '@foodsave-backup/kernel';
import {
  applyDirectories,
  openFsRestore,
  type EntryMeta,
  type RestoreRun,
  type RestoreSink,
} from '@foodsave-backup/component';
import type { Manifest, ManifestComponent } from '@foodsave-backup/repository';
import { noteDamage } from './damage.ts';
import { restoreLive } from './restore-live.ts';
import { restoreEntries, type Source } from './restore-entries.ts';
import { LIVE_LEASE, openRepository, selectComponents, withLease } from './opened.ts';
import { recoverInterrupted } from './recover.ts';
import { assertSpaceAt, withScratch } from './scratch.ts';
import { componentOf, configured, damageList, RestoreProgress, writeEntries, type RestoreJob } from './restore-job.ts';
import type { EngineDeps, Restore, RestoredComponent, RestoreResult, RunContext, RunOutcome } from './types.ts';

export async function restore(deps: EngineDeps, command: Restore, context: RunContext): Promise<RunOutcome> {
  const repository = await openRepository(deps);
  const live = command.target === undefined && command.dryRun !== true;
  const request = live ? LIVE_LEASE : { purpose: 'restore', exclusive: false, readOnly: true };
  return withLease(repository, request, async (lease) => {
    if (live) await recoverInterrupted({ deps, context, repository, leaseId: lease.id });
    const manifest = await repository.manifests.get(command.name);
    const instances = restorable(manifest, command.components);
    const load = await repository.loadIndex(context.signal);
    const source = repository.reader(load);
    await assertPathsExist(manifest, instances, source, command.paths);
    const result: RestoreResult = { name: manifest.name, dryRun: command.dryRun === true, components: {}, failed: [] };
    return withScratch(deps, async (scratch) => {
      const job: RestoreJob = {
        deps,
        command,
        context,
        repository,
        manifest,
        source,
        instances,
        scratch,
        result,
        leaseId: lease.id,
      };
      try {
        if (command.target === undefined) await restoreLive(job);
        else await restoreToTarget(job, command.target);
      } finally {
        for (const message of await noteDamage(repository, source)) {
          context.emit({ type: 'warning', code: 'PACK_DAMAGED', message });
        }
      }
      return { status: result.failed.length > 0 ? 'partial' : 'succeeded', result };
    });
  });
}

/** Throws COMPONENT_UNKNOWN for an instance that the backup does not have, COMPONENT_FAILED for one that it could not capture. */
function restorable(manifest: Manifest, asked: readonly string[] | undefined): string[] {
  const selected = selectComponents(Object.keys(manifest.components), asked);
  const failed = selected.filter((instance) => manifest.components[instance]?.status !== 'complete');
  if (failed.length > 0 && asked !== undefined) {
    throw new BackupError(
      'COMPONENT_FAILED',
      `"${manifest.name}" does not hold ${failed.join(', ')}: it could not be captured then`,
      {
        hint: 'Choose another backup, or leave this component out.',
      },
    );
  }
  return selected.filter((instance) => !failed.includes(instance));
}

async function assertPathsExist(
  manifest: Manifest,
  instances: readonly string[],
  source: Source,
  paths: readonly string[] | undefined,
): Promise<void> {
  for (const path of paths ?? []) {
    let found = false;
    let damage: BackupError | undefined;
    for (const instance of instances) {
      const component = manifest.components[instance];
      if (component === undefined) continue;
      const entries = restoreEntries(source, component, [path], (_path, error) => (damage = error));
      for await (const entry of entries) found ||= entry.path === path;
      if (found) break;
    }
    if (!found) {
      if (damage !== undefined) throw damage;
      throw new BackupError('PATH_NOT_FOUND', `"${printable(path)}" is not in "${manifest.name}"`, {
        hint: 'Run "ls" to see the paths of the backup. They are relative to the directory of the configuration file.',
      });
    }
  }
}

/** Throws TARGET_INVALID unless the directory is absent or empty. */
async function assertEmptyTarget(target: string): Promise<void> {
  if (!isAbsolute(target))
    throw new BackupError('TARGET_INVALID', `The target "${printable(target)}" is not an absolute path`);
  let names: string[];
  try {
    names = await readdir(target);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return;
    throw unusable(target, error);
  }
  if (names.length > 0) {
    throw new BackupError('TARGET_INVALID', `The target "${printable(target)}" is not empty`, {
      hint: 'Name a directory that does not exist yet or is empty. Nothing was written.',
    });
  }
}

function unusable(target: string, error: unknown): BackupError {
  const why = systemErrorCode(error) ?? 'unreadable';
  return new BackupError('TARGET_INVALID', `The target "${printable(target)}" cannot be used (${why})`, {
    hint: 'Name a directory that does not exist yet or is empty.',
    cause: error,
  });
}

async function restoreToTarget(job: RestoreJob, target: string): Promise<void> {
  const { command, manifest, result } = job;
  await assertEmptyTarget(target);
  result.target = target;
  if (command.dryRun === true) {
    for (const instance of job.instances) result.components[instance] = await countOnly(job, instance);
    return;
  }
  if (command.paths === undefined) {
    await assertSpaceAt(
      target,
      job.instances.reduce((sum, instance) => sum + roomOf(componentOf(job, instance)), 0),
    );
  }
  // As every sink would make it; here, so that it does not depend on which is first.
  await mkdir(target, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw unusable(target, error);
  });
  const progress = new RestoreProgress(job, manifest);
  // Components share directories; the time of each is set when nothing is written into it any more.
  const directories = new Map<string, EntryMeta>();
  const sinks: OpenSink[] = [];
  try {
    await writeBeside(job, async (beside, instance) => {
      job.context.emit({ type: 'component.started', component: instance });
      const sink = await openSink(beside, instance, runOf(beside, instance, target));
      const open: OpenSink = { instance, sink, written: { files: 0, bytes: 0 } };
      sinks.push(open);
      open.written = await writeEntries(beside, instance, sink, progress, directories);
      sink.written?.();
    });
    // What was written first was looked at while the others were written.
    for (const open of sinks.sort((a, b) => job.instances.indexOf(a.instance) - job.instances.indexOf(b.instance))) {
      result.components[open.instance] = await commit(job, open);
      job.context.emit({ type: 'component.finished', component: open.instance, status: 'complete' });
    }
  } finally {
    for (const { sink } of sinks) await sink.close();
  }
  await applyDirectories(target, directories);
}

/** Consist of few large files, which the thread pool writes, and are looked at when they are written. */
const LARGE_FILES: readonly string[] = ['database', 'vector_store'];

/**
 * Writes components: what consists of large files in one line, databases first, as their check takes longest; what consists of
 * many files, which this thread makes, in another beside it. The first failure is thrown when both lines have ended.
 */
async function writeBeside(
  job: RestoreJob,
  write: (job: RestoreJob, instance: string) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const context = { ...job.context, signal: AbortSignal.any([job.context.signal, stop.signal]) };
  const line = async (instances: readonly string[]): Promise<void> => {
    try {
      for (const instance of instances) await write({ ...job, context }, instance);
    } catch (error) {
      stop.abort(error);
    }
  };
  const of = (type: string): string[] => job.instances.filter((instance) => componentOf(job, instance).type === type);
  const large = LARGE_FILES.flatMap(of);
  await Promise.all([line(large), line(job.instances.filter((instance) => !large.includes(instance)))]);
  throwIfCancelled(job.context.signal);
  if (stop.signal.aborted) throw stop.signal.reason;
}

function roomOf({ sizeBytes, roomBytes }: ManifestComponent): number {
  return roomBytes ?? sizeBytes;
}

async function countOnly(job: RestoreJob, instance: string): Promise<RestoredComponent> {
  const counted: RestoredComponent = { files: 0, bytes: 0, notes: [] };
  for await (const entry of restoreEntries(
    job.source,
    componentOf(job, instance),
    job.command.paths,
    damageList(job, instance),
  )) {
    if (entry.kind !== 'file') continue;
    counted.files++;
    counted.bytes += entry.size;
  }
  return counted;
}

/** The sink of a configured component; of one that is no longer configured, plain files, which only a target can take. */
async function openSink(job: RestoreJob, instance: string, run: RestoreRun): Promise<RestoreSink> {
  const component = configured(job, instance);
  if (component !== undefined) return component.openRestore(run);
  return openFsRestore({
    run,
    clock: job.deps.clock,
    baseDir: job.deps.config.baseDir,
    roots: [],
  });
}

function runOf(job: RestoreJob, instance: string, target: string): RestoreRun {
  const { context, command } = job;
  const component = componentOf(job, instance);
  return {
    signal: context.signal,
    warn: (warning) => {
      context.emit({ type: 'warning', component: instance, ...warning });
    },
    destination: { kind: 'target', directory: target },
    facts: { capturedAt: component.capturedAt ?? '', ...component.facts },
    ...(command.paths === undefined ? {} : { paths: command.paths }),
    dryRun: false,
  };
}

interface OpenSink {
  instance: string;
  sink: RestoreSink;
  written: { files: number; bytes: number };
}

async function commit(job: RestoreJob, { instance, sink, written }: OpenSink): Promise<RestoredComponent> {
  try {
    const { files, bytes, notes } = await sink.commit();
    return { files, bytes, notes };
  } catch (error) {
    // A store of which files are damaged cannot be what it was; what is good of it is there, and the rest is restored.
    const known = toBackupError(error);
    const damaged = job.result.failed.some((f) => f.component === instance);
    if (known.code !== 'VERIFICATION_FAILED' || !damaged) throw error;
    return { ...written, notes: [known.message] };
  }
}
