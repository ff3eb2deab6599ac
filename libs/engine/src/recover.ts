import { BackupError, toBackupError } from '@foodsave-backup/kernel';
import { recoverLiveRestores, type Component, type SwapRecovery } from '@foodsave-backup/component';
import type { Repository } from '@foodsave-backup/repository';
import { putBack } from './live-sink.ts';
import { LIVE_LEASE, openComponent, withLease } from './opened.ts';
import {
  endRecord,
  unfinishedRestore,
  writeRecord,
  type LiveRestoreRecord,
  type RecordedSwap,
} from './restore-record.ts';
import { withScratch } from './scratch.ts';
import { waysOut, type Look } from './ways-out.ts';
import type { EngineDeps, RunContext } from './types.ts';

export type Settled = 'nothing' | 'finished' | 'undone' | 'unsettled';

export interface RecoveryRequest {
  deps: EngineDeps;
  context: RunContext;
  repository: Repository;
  /** Held by the caller; no live restore can stand beside it. */
  leaseId: string;
  /** What to do where either is possible. `undo`: the person asked to go back. */
  prefer?: 'finish' | 'undo';
}

/**
 * Finishes or undoes what a live restore that was killed has left half done, before anything reads or replaces live data: first
 * all components of the journal together, then what lies about without one. The caller holds `LIVE_LEASE`.
 */
export async function recoverInterrupted(request: RecoveryRequest): Promise<Settled> {
  const { deps, context } = request;
  return withScratch(deps, async (scratch) => {
    const components = openAll(deps, scratch);
    const record = await unfinishedRestore(deps);
    const settled = record === undefined ? 'nothing' : await settle({ ...request, components, record, scratch });
    await sweep(components, context);
    return settled;
  });
}

/**
 * The same for who captures, beside whom others may. `settleFirst` is called before the lease for it is taken, because a journal
 * is settled by one process alone; then, with the lease, `sweepLeftovers`.
 */
export async function settleFirst(deps: EngineDeps, context: RunContext, repository: Repository): Promise<void> {
  if ((await unfinishedRestore(deps)) === undefined) return;
  await withLease(repository, LIVE_LEASE, (lease) =>
    recoverInterrupted({ deps, context, repository, leaseId: lease.id }),
  );
}

/** Throws LOCKED when a restore began and died since `settleFirst`. */
export async function sweepLeftovers(deps: EngineDeps, context: RunContext): Promise<void> {
  if ((await unfinishedRestore(deps)) !== undefined) {
    throw new BackupError('LOCKED', 'A restore into the live application was interrupted just now', {
      hint: 'Run the command again: it settles first what was left.',
    });
  }
  await sweep(openAll(deps, deps.config.stateDir), context);
}

/** What was staged, or set aside, by a restore of which there is no journal: nothing was moved, or everything was. */
async function sweep(components: ReadonlyMap<string, Component>, context: RunContext): Promise<void> {
  for (const [instance, component] of components) {
    await component.recover?.();
    for (const stage of await recoverLiveRestores(component.livePaths())) {
      if (stage.outcome !== 'undone') continue;
      const message = `A restore that was interrupted was undone (${stage.path})`;
      context.emit({ type: 'warning', component: instance, code: 'RESTORE_UNDONE', message });
    }
  }
}

function openAll(deps: EngineDeps, scratch: string): Map<string, Component> {
  const components = new Map<string, Component>();
  for (const spec of deps.config.components) {
    try {
      components.set(spec.instance, openComponent(deps, spec, scratch, true));
    } catch {
      // A component that does not open says so when it is used.
    }
  }
  return components;
}

interface Settling extends RecoveryRequest {
  components: ReadonlyMap<string, Component>;
  record: LiveRestoreRecord;
  scratch: string;
}

async function settle(job: Settling): Promise<Settled> {
  const { deps, context, record } = job;
  const which = `The restore of "${record.restored}" at ${record.at}`;
  try {
    const how = await settleSwaps(job);
    const code = how === 'finished' ? 'RESTORE_FINISHED' : 'RESTORE_UNDONE';
    context.emit({ type: 'warning', code, message: `${which} was interrupted and was ${how}` });
    return how;
  } catch (error) {
    const { code, message } = toBackupError(error);
    if (code === 'CANCELLED') throw error;
    // Tried once: later the application may have gone on from what it found.
    const kept = await keepAll(job);
    await endRecord(deps, 'done');
    const where = kept.length === 0 ? '' : ` What it had set aside is kept in ${kept.join(', ')}.`;
    const words = `${which} was interrupted and could not be settled (${message}).${where} Run "undo", or restore again.`;
    context.emit({ type: 'warning', code: 'RESTORE_UNSETTLED', message: words });
    return 'unsettled';
  }
}

/** Throws where neither is possible, with live data touched as little as possible. */
async function settleSwaps(job: Settling): Promise<'finished' | 'undone'> {
  const { deps, record } = job;
  const open = record.swaps.filter(({ reverted }) => reverted !== true);
  // Nothing has been moved yet, or all of it.
  if (record.phase === 'prepared') return undoAll(job, []);
  if (record.phase === 'committed') {
    await cleanAll(job);
    await endRecord(deps, 'done');
    return 'finished';
  }
  const looks = await lookAll(job, open);
  const [first, second] = waysOut(looks, {
    phase: record.phase,
    safety: record.safety !== undefined,
    prefer: job.prefer,
  });
  if (first === undefined) {
    throw new BackupError(
      'RESTORE_FAILED',
      'the live data was changed after it, so that finishing and undoing would both lose something',
    );
  }
  try {
    return await (first === 'finish' ? finishAll(job, looks) : undoAll(job, looks));
  } catch (error) {
    if (toBackupError(error).code === 'CANCELLED' || first === 'undo' || second === undefined) throw error;
    return undoAll(job, await lookAll(job, open));
  }
}

async function lookAll(job: Settling, swaps: readonly RecordedSwap[]): Promise<Look[]> {
  const looks: Look[] = [];
  for (const swap of swaps) {
    const { ticket, committed = false } = swap;
    const state = ticket === undefined ? undefined : await swapsOf(job, swap.instance).look(ticket, committed);
    looks.push({ swap, state });
  }
  return looks;
}

async function finishAll(job: Settling, looks: readonly Look[]): Promise<'finished'> {
  const { deps, record } = job;
  for (const { swap, state } of looks) {
    if (state?.moved === 'all') continue;
    if (swap.ticket !== undefined) await swapsOf(job, swap.instance).finish(swap.ticket);
    else await fromBackup(job, record.restored, swap.instance, record.paths);
  }
  record.phase = 'committed';
  await writeRecord(deps, record);
  await cleanAll(job);
  await endRecord(deps, 'done');
  return 'finished';
}

async function undoAll(job: Settling, looks: readonly Look[]): Promise<'undone'> {
  const { deps, record } = job;
  record.phase = 'undoing';
  await writeRecord(deps, record);
  for (const { swap } of [...looks].reverse()) {
    const { ticket, instance } = swap;
    const back = ticket !== undefined && (await swapsOf(job, instance).undo(ticket));
    if (!back) await fromBackup(job, safetyOf(record), instance);
    swap.reverted = true;
    await writeRecord(deps, record);
  }
  await endRecord(deps, 'undone');
  await cleanAll(job);
  return 'undone';
}

async function cleanAll(job: Settling): Promise<void> {
  for (const { ticket, instance } of job.record.swaps) {
    if (ticket !== undefined) await job.components.get(instance)?.swaps?.clean(ticket);
  }
}

async function keepAll(job: Settling): Promise<string[]> {
  const kept: string[] = [];
  for (const { ticket, instance } of job.record.swaps) {
    if (ticket === undefined) continue;
    kept.push(
      ...((await job.components
        .get(instance)
        ?.swaps?.keep(ticket)
        .catch(() => [])) ?? []),
    );
  }
  return kept;
}

function swapsOf({ components }: Settling, instance: string): SwapRecovery {
  const swaps = components.get(instance)?.swaps;
  if (swaps !== undefined) return swaps;
  throw new BackupError('COMPONENT_UNKNOWN', `${instance} is not in the configuration any more`);
}

function safetyOf({ safety }: LiveRestoreRecord): string {
  if (safety !== undefined) return safety;
  throw new BackupError('RESTORE_FAILED', 'there is no safety backup');
}

/** A component that cannot settle its own commit becomes what a backup holds of it. */
async function fromBackup(job: Settling, name: string, instance: string, paths?: readonly string[]): Promise<void> {
  const { deps, context, repository, leaseId, scratch } = job;
  const manifest = await repository.manifests.get(name);
  if (manifest.components[instance]?.root === undefined) {
    throw new BackupError('RESTORE_FAILED', `${instance} is not in "${name}": it did not exist then`);
  }
  const source = repository.reader(await repository.loadIndex(context.signal));
  const command = { command: 'restore' as const, name, ...(paths === undefined ? {} : { paths }) };
  const result = { name, dryRun: false, components: {}, failed: [] };
  const instances = [instance];
  await putBack({ deps, command, context, repository, manifest, source, instances, scratch, result, leaseId });
}
