import { join } from 'node:path';
import {
  BackupError,
  hashLike,
  isHole,
  isoTime,
  matches,
  throwIfCancelled,
  toBackupError,
} from '@foodsave-backup/kernel';
import type { RestoreEntry } from '@foodsave-backup/component';
import type { Manifest } from '@foodsave-backup/repository';
import { forgetDamage, loadPresent, Marker, type Repository } from '@foodsave-backup/repository';
import { noteDamage } from './damage.ts';
import { openRepository, withLease } from './opened.ts';
import { withScratch } from './scratch.ts';
import { restoreEntries, type Source } from './restore-entries.ts';
import { componentOf, configured, RestoreProgress, writeEntries, type RestoreJob } from './restore-job.ts';
import {
  CHECKSUMS_OFF,
  type Command,
  type EngineDeps,
  type RunContext,
  type RunOutcome,
  type VerifyResult,
} from './types.ts';

type Verify = Extract<Command, { command: 'verify' }>;

/** Types whose stored form is opened by their own engine, not only compared with a SHA-256. */
const OPENED_TYPES = new Set(['database', 'vector_store']);

/** Verifies one backup and notes the result. Damage makes the run fail, with the list of what is damaged. */
export async function verify(deps: EngineDeps, command: Verify, context: RunContext): Promise<RunOutcome> {
  const repository = await openRepository(deps);
  return withLease(repository, { purpose: 'verify', exclusive: false, readOnly: true }, async () => {
    const manifest = await repository.manifests.get(command.name);
    const result: VerifyResult = {
      name: manifest.name,
      level: command.level,
      status: 'ok',
      checkedBytes: 0,
      checkedFiles: 0,
      damaged: [],
      notes: [],
    };
    if (!deps.config.checksums) result.notes.push(CHECKSUMS_OFF);
    const source = await verifyStructure(repository, manifest, result, context);
    if (command.level === 'full' && deps.config.checksums) {
      await withScratch(deps, (scratch) =>
        verifyContents({ deps, context, repository, manifest, source, result, scratch }),
      );
    }
    result.status = result.damaged.length === 0 ? 'ok' : 'damaged';
    result.notes.push(...(await noteDamage(repository, source)));
    await note(repository, deps, manifest, result);
    if (result.status === 'ok') return { status: 'succeeded', result };
    const error = new BackupError(
      'VERIFICATION_FAILED',
      `Verification failed: "${manifest.name}" is damaged in ${result.damaged.length === 1 ? 'one place' : `${result.damaged.length} places`}`,
      {
        hint: 'Restore with --target: everything that is good comes back, and the damaged files are listed. Take a new backup now.',
      },
    );
    return { status: 'failed', result, error: error.toJSON() };
  });
}

/** A result that cannot be noted (read-only repository) is still a result. */
async function note(repository: Repository, deps: EngineDeps, manifest: Manifest, result: VerifyResult): Promise<void> {
  const level = deps.config.checksums ? result.level : 'quick';
  try {
    await repository.notes.add({
      type: 'verification',
      at: isoTime(deps.clock),
      backup: manifest.id,
      name: manifest.name,
      level,
      status: result.status,
      checkedBytes: result.checkedBytes,
    });
  } catch (error) {
    result.notes.push(`The result could not be noted in the repository: ${toBackupError(error).message}`);
  }
}

/** Manifest, trees, presence and sizes of every pack that is needed. */
async function verifyStructure(
  repository: Repository,
  manifest: Manifest,
  result: VerifyResult,
  context: RunContext,
): Promise<Source> {
  context.progress({ phase: 'structure', doneBytes: 0, doneFiles: 0 });
  const { load } = await loadPresent(repository, context.signal);
  await forgetDamage(repository, load.index);
  const source = repository.reader(load);
  const marker = new Marker(repository, load.index, source.blobs);
  const report = (component: string, what: { path: string; reason: string }): void => {
    result.damaged.push({ component, path: what.path, reason: what.reason });
  };
  await marker.mark(manifest, report, context.signal);
  return source;
}

interface ContentJob {
  deps: EngineDeps;
  context: RunContext;
  repository: Repository;
  manifest: Manifest;
  source: Source;
  result: VerifyResult;
  scratch: string;
}

async function verifyContents(job: ContentJob): Promise<void> {
  const { manifest, context } = job;
  const totalBytes = Object.values(manifest.components).reduce((sum, c) => sum + c.sizeBytes, 0);
  const totalFiles = Object.values(manifest.components).reduce((sum, c) => sum + c.files, 0);
  for (const [instance, component] of Object.entries(manifest.components)) {
    if (component.root === undefined) continue;
    const bad = new Set(job.result.damaged.filter((d) => d.component === instance).map((d) => d.path));
    for await (const entry of entriesOf(job, instance)) {
      throwIfCancelled(context.signal);
      if (entry.kind !== 'file') continue;
      const damage = bad.has(entry.path)
        ? undefined
        : await damageOf(entry, (bytes) => {
            job.result.checkedBytes += bytes;
            const { checkedBytes: doneBytes, checkedFiles: doneFiles } = job.result;
            context.progress({
              phase: 'verify',
              component: instance,
              current: entry.path,
              doneBytes,
              totalBytes,
              doneFiles,
              totalFiles,
            });
          });
      job.result.checkedFiles++;
      if (damage !== undefined) job.result.damaged.push({ component: instance, path: entry.path, reason: damage });
    }
    const clean = !job.result.damaged.some((d) => d.component === instance);
    if (clean && OPENED_TYPES.has(component.type)) await openRestored(job, instance);
  }
}

/** A tree that breaks off in the middle is damage of the component, already listed by the structure check or listed here. */
async function* entriesOf(job: ContentJob, instance: string): ReturnType<typeof restoreEntries> {
  const component = job.manifest.components[instance];
  if (component === undefined) return;
  try {
    yield* restoreEntries(job.source, component, undefined);
  } catch (error) {
    const known = toBackupError(error);
    if (known.code !== 'DATA_DAMAGED') throw known;
    if (!job.result.damaged.some((d) => d.component === instance)) {
      job.result.damaged.push({ component: instance, path: '/', reason: known.message });
    }
  }
}

async function damageOf(entry: RestoreEntry, seen: (bytes: number) => void): Promise<string | undefined> {
  const hash = hashLike(entry);
  let length = 0;
  try {
    for await (const piece of entry.content?.({ holes: true }) ?? []) {
      const bytes = isHole(piece) ? piece.hole : piece.length;
      if (isHole(piece)) hash.zeros(bytes);
      else hash.update(piece);
      length += bytes;
      seen(bytes);
    }
  } catch (error) {
    const known = toBackupError(error);
    if (known.code !== 'DATA_DAMAGED') throw known;
    return known.message;
  }
  if (length !== entry.size) return `it has ${length} bytes instead of ${entry.size}`;
  if (!matches(hash, entry)) return 'its SHA-256 differs';
  return undefined;
}

/** Restores a component to a private directory, where its driver opens it and compares it with its facts. */
async function openRestored(job: ContentJob, instance: string): Promise<void> {
  const { deps, context, repository, manifest, source, scratch } = job;
  const result = { name: manifest.name, dryRun: false, components: {}, failed: [] };
  const command = { command: 'restore' as const, name: manifest.name };
  const restoreJob: RestoreJob = {
    deps,
    command,
    context: quiet(context),
    repository,
    manifest,
    source,
    instances: [instance],
    scratch,
    result,
    leaseId: '',
  };
  const component = configured(restoreJob, instance);
  if (component === undefined) {
    job.result.notes.push(`${instance} is not configured any more: its bytes were compared, it was not opened.`);
    return;
  }
  const stored = componentOf(restoreJob, instance);
  const sink = await component.openRestore({
    signal: context.signal,
    warn: () => undefined,
    destination: { kind: 'target', directory: join(scratch, `verify-${instance.replaceAll(/[^a-z0-9]/gi, '-')}`) },
    facts: { capturedAt: stored.capturedAt ?? '', ...stored.facts },
    dryRun: false,
  });
  try {
    await writeEntries(restoreJob, instance, sink, new RestoreProgress(restoreJob, manifest));
    await sink.commit();
  } catch (error) {
    const known = toBackupError(error);
    if (known.code === 'CANCELLED' || known.code === 'NO_SPACE' || known.code === 'INTERNAL') throw known;
    job.result.damaged.push({ component: instance, path: '/', reason: `it does not open: ${known.message}` });
  } finally {
    await sink.close();
  }
}

/** The same run, without the progress of a part that is not the run's own. */
function quiet(context: RunContext): RunContext {
  return { ...context, signal: context.signal, runId: context.runId, emit: () => undefined, progress: () => undefined };
}
