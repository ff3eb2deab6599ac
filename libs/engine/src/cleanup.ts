import { BackupError, throwIfCancelled } from '@foodsave-backup/kernel';
import { planRetention, type RetentionPlan } from '@foodsave-backup/retention';
import {
  prunePacks,
  type Lease,
  type ManifestListing,
  type NoteScan,
  type PruneOptions,
  type PruneReport,
  type Repository,
} from '@foodsave-backup/repository';
import { openRepository, withLease } from './opened.ts';
import { settleUnconfirmed } from './settle.ts';
import type { CleanupResult, Command, DeleteResult, EngineDeps, RunContext, RunOutcome } from './types.ts';
import { lastHold, notesByBackup, retentionView } from './views.ts';

/**
 * Beside everything but what deletes too; what settles, which would confirm again what is half deleted; and a hold, which
 * must be seen by what deletes.
 */
const PRUNING = { exclusive: false, conflicts: ['cleanup', 'delete', 'settle', 'hold'] };

/** What retention says of every backup of a listing. */
export function planOf(deps: EngineDeps, listing: ManifestListing, { notes, unreadable }: NoteScan): RetentionPlan {
  const notesOf = notesByBackup(notes);
  const plan = planRetention({
    backups: listing.manifests.map((manifest) => retentionView(manifest, notesOf(manifest.id))),
    policy: deps.config.retention,
    timeZone: deps.config.timeZone,
    now: deps.clock.now(),
    // Like a manifest, a note that cannot be read may keep a backup: it may be a hold.
    unreadableManifests: listing.damaged.length + unreadable.length,
  });
  const [first] = unreadable;
  if (first === undefined || listing.damaged.length > 0) return plan;
  const blocked = `${unreadable.length === 1 ? 'A note' : `${unreadable.length} notes`} that may hold a backup cannot be read (${first}). Hold again what has to stay, then delete that file.`;
  return { ...plan, blocked };
}

/** Deletes what retention does not keep, then the packs that nothing needs. */
export async function cleanup(
  deps: EngineDeps,
  command: Extract<Command, { command: 'cleanup' }>,
  context: RunContext,
): Promise<RunOutcome> {
  const repository = await openRepository(deps);
  // A preview only looks, and must neither wait for a run nor keep one waiting.
  if (command.dryRun === true) return carryOut(deps, repository, context, undefined);
  return withLease(repository, { purpose: 'cleanup', ...PRUNING }, async (lease) => {
    await settleUnconfirmed(repository, lease, { readAll: true });
    return carryOut(deps, repository, context, lease);
  });
}

async function carryOut(
  deps: EngineDeps,
  repository: Repository,
  context: RunContext,
  lease: Lease | undefined,
): Promise<RunOutcome> {
  const dryRun = lease === undefined;
  context.progress({ phase: 'plan', doneBytes: 0, doneFiles: 0 });
  const plan = planOf(deps, await repository.manifests.list(), await repository.notes.scan());
  const doomed = new Set(plan.deleted.map((backup) => backup.name));
  if (lease !== undefined) {
    for (const name of doomed) {
      throwIfCancelled(context.signal);
      await lease.assertHeld();
      await repository.manifests.delete(name);
    }
    await dropNotes(repository, doomed);
  }
  context.progress({ phase: 'prune', doneBytes: 0, doneFiles: 0 });
  const pruned = plan.blocked === undefined ? await prune(repository, context, lease ?? doomed) : NOTHING_FREED;
  const blocked = plan.blocked ?? pruned.blocked;
  const result: CleanupResult = {
    deleted: plan.deleted.map(({ name, reason }) => ({ name, reason })),
    kept: plan.kept.map(({ name, reasons }) => ({ name, reasons: reasons.map((r) => r.text) })),
    freedBytes: pruned.freedBytes,
    rewrittenBytes: pruned.rewrittenBytes,
    packs: pruned.packs,
    dryRun,
    ...(blocked === undefined ? {} : { blocked }),
  };
  return { status: blocked === undefined ? 'succeeded' : 'partial', result };
}

/** Deletes what it names, then the packs that nothing needs. Every name is looked at before the first backup goes. */
export async function deleteBackup(
  deps: EngineDeps,
  command: Extract<Command, { command: 'delete' }>,
  context: RunContext,
): Promise<RunOutcome> {
  const repository = await openRepository(deps);
  return withLease(repository, { purpose: 'delete', ...PRUNING }, async (lease) => {
    const names = await allToDelete(repository, [command.name, ...(command.also ?? [])]);
    for (const name of names) {
      throwIfCancelled(context.signal);
      await lease.assertHeld();
      await repository.manifests.delete(name);
    }
    await dropNotes(repository, new Set(names));
    const pruned = await prune(repository, context, lease);
    const [name = command.name, ...also] = names;
    const result: DeleteResult = { name, ...(also.length === 0 ? {} : { also }), ...pruned };
    return { status: 'succeeded', result };
  });
}

/** The names of the backups, each once. Throws BACKUP_NOT_FOUND or BACKUP_HELD for the first that cannot be deleted. */
async function allToDelete(repository: Repository, asked: readonly string[]): Promise<string[]> {
  const names = new Set<string>();
  const notes = await repository.notes.list();
  const rest = asked.length > 1 ? ' Nothing was deleted.' : '';
  for (const one of asked) {
    const { name, held } = await toDelete(repository, one, notes).catch((error: unknown) => {
      if (rest === '' || !(error instanceof BackupError) || error.code !== 'BACKUP_NOT_FOUND') throw error;
      const { code, message, hint = '', details, cause } = error;
      const also = details === undefined ? {} : { details };
      throw new BackupError(code, message, { hint: `${hint}${rest}`.trim(), cause, ...also });
    });
    if (held) {
      throw new BackupError('BACKUP_HELD', `"${name}" is held, so that nothing deletes it`, {
        hint: `Let go of it first: unhold ${name}${rest === '' ? '' : `.${rest}`}`,
      });
    }
    names.add(name);
  }
  return [...names];
}

/** A backup whose manifest is damaged can be deleted like any other: nothing else gets rid of it. Throws BACKUP_NOT_FOUND. */
async function toDelete(
  repository: Repository,
  name: string,
  notes: Awaited<ReturnType<Repository['notes']['list']>>,
): Promise<{ name: string; held: boolean }> {
  try {
    const manifest = await repository.manifests.get(name);
    return { name: manifest.name, held: lastHold({ id: manifest.id }, notes)?.note.on === true };
  } catch (error) {
    if (!(error instanceof BackupError) || error.code !== 'MANIFEST_DAMAGED') throw error;
    return { name, held: lastHold({ name }, notes)?.note.on === true };
  }
}

type Pruned = PruneReport & { blocked?: string };

const NOTHING_FREED: Pruned = { packs: 0, freedBytes: 0, rewrittenBytes: 0 };

/**
 * Freeing space waits while something is damaged; what retention decided stands. Under a lease it is done; for the names of
 * backups it is found out what would be done if they were gone.
 */
async function prune(
  repository: Repository,
  { signal }: RunContext,
  how: Lease | ReadonlySet<string>,
): Promise<Pruned> {
  const options: PruneOptions =
    'assertHeld' in how
      ? { dryRun: false, doomed: new Set(), assertHeld: () => how.assertHeld(), signal }
      : { dryRun: true, doomed: how, signal };
  try {
    return await prunePacks(repository, options);
  } catch (error) {
    if (!(error instanceof BackupError) || error.code !== 'REPOSITORY_DAMAGED') throw error;
    return { ...NOTHING_FREED, blocked: `${error.message}. ${error.hint ?? ''}`.trim() };
  }
}

async function dropNotes(repository: Repository, names: ReadonlySet<string>): Promise<void> {
  const gone = (await repository.notes.list())
    .filter(({ note }) => 'name' in note && names.has(note.name))
    .map(({ key }) => key);
  await repository.notes.delete(gone);
}
