import { readdir } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { BackupError, printable, systemErrorCode, throwIfCancelled, toBackupError } from '@foodsave-backup/kernel';
import { openFsRestore, type Component, type RestoreRun, type RestoreSink } from '@foodsave-backup/component';
import type { Manifest, ManifestComponent } from '@foodsave-backup/format';
import type { Repository } from '@foodsave-backup/repository';
import { restoreLive } from './restore-live.ts';
import { restoreEntries, type Source } from './restore-entries.ts';
import { openComponent, openRepository, selectComponents, withLease, withScratch } from './opened.ts';
import type { Command, EngineDeps, RestoredComponent, RestoreResult, RunContext, RunOutcome } from './types.ts';

type Restore = Extract<Command, { command: 'restore' }>;

export interface RestoreJob {
  deps: EngineDeps;
  command: Restore;
  context: RunContext;
  repository: Repository;
  manifest: Manifest;
  source: Source;
  /** Instances to restore, in the order of the manifest. */
  instances: readonly string[];
  scratch: string;
  result: RestoreResult;
}

export async function restore(deps: EngineDeps, command: Restore, context: RunContext): Promise<RunOutcome> {
  const repository = await openRepository(deps);
  return withLease(repository, { purpose: 'restore', exclusive: false, readOnly: true }, async () => {
    const manifest = await repository.manifests.get(command.name);
    const instances = restorable(manifest, command.components);
    const load = await repository.loadIndex(context.signal);
    const source = repository.reader(load);
    await assertPathsExist(manifest, instances, source, command.paths);
    const result: RestoreResult = { name: manifest.name, dryRun: command.dryRun === true, components: {}, failed: [] };
    return withScratch(deps, async (scratch) => {
      const job: RestoreJob = { deps, command, context, repository, manifest, source, instances, scratch, result };
      if (command.target === undefined) await restoreLive(job);
      else await restoreToTarget(job, command.target);
      return { status: result.failed.length > 0 ? 'partial' : 'succeeded', result };
    });
  });
}

/** Throws COMPONENT_UNKNOWN for an instance that the backup does not have, COMPONENT_FAILED for one that it could not capture. */
function restorable(manifest: Manifest, asked: readonly string[] | undefined): string[] {
  const selected = selectComponents(Object.keys(manifest.components), asked);
  const failed = selected.filter((instance) => manifest.components[instance]?.status !== 'complete');
  if (failed.length > 0 && asked !== undefined) {
    throw new BackupError('COMPONENT_FAILED', `"${manifest.name}" does not hold ${failed.join(', ')}: it could not be captured then`, {
      hint: 'Choose another backup, or leave this component out.',
    });
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
    for (const instance of instances) {
      const component = manifest.components[instance];
      if (component === undefined) continue;
      for await (const entry of restoreEntries(source, component, [path])) found ||= entry.path === path;
      if (found) break;
    }
    if (!found) {
      throw new BackupError('PATH_NOT_FOUND', `"${printable(path)}" is not in "${manifest.name}"`, {
        hint: 'Run "ls" to see the paths of the backup. They are relative to the directory of the configuration file.',
      });
    }
  }
}

/** Throws TARGET_INVALID unless the directory is absent or empty. */
async function assertEmptyTarget(target: string): Promise<void> {
  if (!isAbsolute(target)) throw new BackupError('TARGET_INVALID', `The target "${printable(target)}" is not an absolute path`);
  let names: string[];
  try {
    names = await readdir(target);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return;
    throw new BackupError('TARGET_INVALID', `The target "${printable(target)}" cannot be used (${systemErrorCode(error) ?? 'unreadable'})`, {
      hint: 'Name a directory that does not exist yet or is empty.',
      cause: error,
    });
  }
  if (names.length > 0) {
    throw new BackupError('TARGET_INVALID', `The target "${printable(target)}" is not empty`, {
      hint: 'Name a directory that does not exist yet or is empty. Nothing was written.',
    });
  }
}

async function restoreToTarget(job: RestoreJob, target: string): Promise<void> {
  const { command, manifest, result } = job;
  await assertEmptyTarget(target);
  result.target = target;
  if (command.dryRun === true) {
    for (const instance of job.instances) result.components[instance] = await countOnly(job, instance);
    return;
  }
  const progress = new RestoreProgress(job, manifest);
  for (const instance of job.instances) {
    job.context.emit({ type: 'component.started', component: instance });
    result.components[instance] = await restoreComponent(job, instance, target, progress);
    job.context.emit({ type: 'component.finished', component: instance, status: 'complete' });
  }
}

async function countOnly(job: RestoreJob, instance: string): Promise<RestoredComponent> {
  const counted: RestoredComponent = { files: 0, bytes: 0, notes: [] };
  for await (const entry of restoreEntries(job.source, componentOf(job, instance), job.command.paths)) {
    if (entry.kind !== 'file') continue;
    counted.files++;
    counted.bytes += entry.size;
  }
  return counted;
}

export function componentOf(job: RestoreJob, instance: string): ManifestComponent {
  const component = job.manifest.components[instance];
  if (component === undefined) throw new BackupError('INTERNAL', `The manifest has no ${instance}`);
  return component;
}

/** Cumulative figures of a restore. */
export class RestoreProgress {
  readonly #job: RestoreJob;
  readonly #totalBytes: number;
  readonly #totalFiles: number;
  #doneBytes = 0;
  #doneFiles = 0;
  phase = 'restore';

  constructor(job: RestoreJob, manifest: Manifest) {
    this.#job = job;
    const all = job.instances.map((instance) => manifest.components[instance]);
    this.#totalBytes = all.reduce((sum, c) => sum + (c?.sizeBytes ?? 0), 0);
    this.#totalFiles = all.reduce((sum, c) => sum + (c?.files ?? 0), 0);
  }

  add(component: string, current: string, bytes: number, files: number): void {
    this.#doneBytes += bytes;
    this.#doneFiles += files;
    this.#job.context.progress({
      phase: this.phase,
      component,
      current,
      doneBytes: this.#doneBytes,
      totalBytes: this.#totalBytes,
      doneFiles: this.#doneFiles,
      totalFiles: this.#totalFiles,
    });
  }

  /** The content with its bytes counted. */
  async *count(component: string, path: string, content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of content) {
      throwIfCancelled(this.#job.context.signal);
      this.add(component, path, piece.length, 0);
      yield piece;
    }
  }
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

/** The component as configured now, or `undefined` when it is not (or not with a configuration that opens). */
export function configured(job: RestoreJob, instance: string): Component | undefined {
  const spec = job.deps.config.components.find((c) => c.instance === instance);
  if (spec?.type !== componentOf(job, instance).type) return undefined;
  return openComponent(job.deps, spec, job.scratch, job.repository.keys.encrypted);
}

async function restoreComponent(job: RestoreJob, instance: string, target: string, progress: RestoreProgress): Promise<RestoredComponent> {
  const { context, command } = job;
  const component = componentOf(job, instance);
  const sink = await openSink(job, instance, {
    signal: context.signal,
    warn: (warning) => {
      context.emit({ type: 'warning', component: instance, ...warning });
    },
    destination: { kind: 'target', directory: target },
    facts: { capturedAt: component.capturedAt ?? '', ...component.facts },
    ...(command.paths === undefined ? {} : { paths: command.paths }),
    dryRun: false,
  });
  try {
    await writeEntries(job, instance, sink, progress);
    const { files, bytes, notes } = await sink.commit();
    return { files, bytes, notes };
  } finally {
    await sink.close();
  }
}

/** Damaged files are listed and left out; the rest goes on. A fault of the target ends the restore. */
export async function writeEntries(job: RestoreJob, instance: string, sink: RestoreSink, progress: RestoreProgress): Promise<void> {
  const { context, result } = job;
  for await (const entry of restoreEntries(job.source, componentOf(job, instance), job.command.paths)) {
    throwIfCancelled(context.signal);
    const { content } = entry;
    try {
      await sink.write(content === undefined ? entry : { ...entry, content: () => progress.count(instance, entry.path, content()) });
      if (entry.kind === 'file') progress.add(instance, entry.path, 0, 1);
    } catch (error) {
      const known = toBackupError(error);
      if (known.code !== 'DATA_DAMAGED') throw known;
      result.failed.push({ component: instance, path: entry.path, code: known.code, message: known.message });
      context.emit({ type: 'warning', component: instance, code: known.code, message: known.message, path: entry.path });
    }
  }
}
