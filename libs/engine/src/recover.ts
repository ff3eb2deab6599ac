import { toBackupError } from '@foodsave-backup/kernel';
import { recoverLiveRestores, type Component } from '@foodsave-backup/component';
import type { Repository } from '@foodsave-backup/repository';
import { putBack } from './live-sink.ts';
import { openComponent } from './opened.ts';
import { endRecord, unfinishedRestore, type LiveRestoreRecord } from './restore-record.ts';
import { withScratch } from './scratch.ts';
import type { EngineDeps, RunContext } from './types.ts';

/**
 * Finishes or undoes what a live restore that was killed has left half done, before anything reads or replaces live data: within
 * each component, then across them. The caller holds the lease `leaseId`, which no live restore can stand beside.
 */
export async function recoverInterrupted(
  deps: EngineDeps,
  context: RunContext,
  repository: Repository,
  leaseId: string,
): Promise<void> {
  for (const spec of deps.config.components) {
    let component: Component;
    try {
      component = openComponent(deps, spec, deps.config.stateDir, true);
    } catch {
      // A component that does not open says so when it is used.
      continue;
    }
    await component.recover?.();
    for (const stage of await recoverLiveRestores(component.livePaths())) {
      if (stage.outcome !== 'undone') continue;
      const message = `A restore that was interrupted was undone (${stage.path})`;
      context.emit({ type: 'warning', component: spec.instance, code: 'RESTORE_UNDONE', message });
    }
  }
  const record = await unfinishedRestore(deps);
  if (record !== undefined) await settleRestore(deps, context, { repository, leaseId, record });
}

interface Unfinished {
  repository: Repository;
  leaseId: string;
  record: LiveRestoreRecord;
}

/** All components old again, from the safety backup; all of them new where there was none. */
async function settleRestore(
  deps: EngineDeps,
  context: RunContext,
  { repository, leaseId, record }: Unfinished,
): Promise<void> {
  const { safety, restored, paths } = record;
  const from = safety ?? restored;
  try {
    const manifest = await repository.manifests.get(from);
    const source = repository.reader(await repository.loadIndex(context.signal));
    const instances = record.instances.filter((instance) => manifest.components[instance]?.root !== undefined);
    const part = safety === undefined && paths !== undefined ? { paths } : {};
    const command = { command: 'restore' as const, name: from, ...part };
    const result = { name: from, dryRun: false, components: {}, failed: [] };
    await withScratch(deps, (scratch) =>
      putBack({ deps, command, context, repository, manifest, source, instances, scratch, result, leaseId }),
    );
    await endRecord(deps, safety === undefined ? 'done' : 'undone');
    const how = safety === undefined ? 'finished' : 'undone';
    const message = `The restore of "${restored}" at ${record.at} was interrupted between two components and was ${how}`;
    context.emit({ type: 'warning', code: safety === undefined ? 'RESTORE_FINISHED' : 'RESTORE_UNDONE', message });
  } catch (error) {
    const { code, message } = toBackupError(error);
    if (code === 'CANCELLED') throw error;
    // Tried once: later the application may have gone on from what it found.
    await endRecord(deps, 'done');
    const words = `The restore of "${restored}" at ${record.at} was interrupted and could not be settled (${message}). Run "undo", or restore again.`;
    context.emit({ type: 'warning', code: 'RESTORE_UNSETTLED', message: words });
  }
}
