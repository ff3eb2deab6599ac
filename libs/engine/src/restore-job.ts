import { BackupError, isHole, throwIfCancelled, toBackupError, type Piece } from '@foodsave-backup/kernel';
import {
  contentSource,
  type Component,
  type ContentSource,
  type EntryMeta,
  type RestoreSink,
} from '@foodsave-backup/component';
import type { Manifest, ManifestComponent, Repository } from '@foodsave-backup/repository';
import { openComponent } from './opened.ts';
import { restoreEntriesAhead, type Source } from './restore-entries.ts';
import type { EngineDeps, Restore, RestoreResult, RunContext } from './types.ts';

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
  /** Of this run; its safety backup stands beside it. */
  leaseId: string;
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
  async *count(component: string, path: string, content: AsyncIterable<Piece>): AsyncGenerator<Piece> {
    for await (const piece of content) {
      throwIfCancelled(this.#job.context.signal);
      this.add(component, path, isHole(piece) ? piece.hole : piece.length, 0);
      yield piece;
    }
  }
}

/** The component as configured now, or `undefined` when it is not (or not with a configuration that opens). */
export function configured(job: RestoreJob, instance: string): Component | undefined {
  const spec = job.deps.config.components.find((c) => c.instance === instance);
  if (spec?.type !== componentOf(job, instance).type) return undefined;
  return openComponent(job.deps, spec, job.scratch, job.repository.keys.encrypted);
}

/** Lists what of an instance is damaged and cannot be restored. */
export function damageList(job: RestoreJob, instance: string): (path: string, error: BackupError) => void {
  return (path, { code, message }) => {
    job.result.failed.push({ component: instance, path, code, message });
    job.context.emit({ type: 'warning', component: instance, code, message, path });
  };
}

/**
 * Milliseconds after which other events have their turn: frames that are decoded ahead need this thread between their steps,
 * and the thread pool is idle while it does not come to them.
 */
const TURN_MS = 2;

/**
 * Damaged files are listed and left out; the rest goes on. A fault of the target ends the restore. Gives what was written.
 * `directories`: gets those that came by.
 */
export async function writeEntries(
  job: RestoreJob,
  instance: string,
  sink: RestoreSink,
  progress: RestoreProgress,
  directories?: Map<string, EntryMeta>,
): Promise<{ files: number; bytes: number }> {
  const written = { files: 0, bytes: 0 };
  const { context } = job;
  const damaged = damageList(job, instance);
  const { clock } = job.deps;
  let turn = clock.monotonic();
  const entries = restoreEntriesAhead(job.source, componentOf(job, instance), job.command.paths, damaged);
  for await (const entry of entries) {
    if (clock.monotonic() - turn > TURN_MS) {
      // Small files are written without waiting for anything.
      await new Promise((resolve) => setImmediate(resolve));
      turn = clock.monotonic();
    }
    throwIfCancelled(context.signal);
    if (entry.kind === 'directory') directories?.set(entry.path, entry.meta);
    const { content } = entry;
    const counted = (of: ContentSource): ContentSource =>
      contentSource((options) => progress.count(instance, entry.path, of({ holes: true, ...options })));
    try {
      await sink.write(content === undefined ? entry : { ...entry, content: counted(content) });
      if (entry.kind !== 'file') continue;
      progress.add(instance, entry.path, 0, 1);
      written.files++;
      written.bytes += entry.size;
    } catch (error) {
      const known = toBackupError(error);
      if (known.code !== 'DATA_DAMAGED') throw known;
      damaged(entry.path, known);
    }
  }
  return written;
}
