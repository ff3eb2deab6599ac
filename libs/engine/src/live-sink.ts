import { BackupError } from '@foodsave-backup/kernel';
import type { RestoreSink } from '@foodsave-backup/component';
import { restoreEntries } from './restore-entries.ts';
import { componentOf, configured, RestoreProgress, writeEntries, type RestoreJob } from './restore-job.ts';

export async function openLiveSink(job: RestoreJob, instance: string): Promise<RestoreSink> {
  const component = configured(job, instance);
  if (component === undefined) {
    throw new BackupError(
      'COMPONENT_UNKNOWN',
      `${instance} is in the backup but not in the configuration, so it has no live place`,
      {
        hint: 'Restore it to a directory with --target, or add it to the configuration.',
      },
    );
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

/** Makes the live components what `job.manifest` holds, one after the other and without a safety backup. */
export async function putBack(job: RestoreJob): Promise<void> {
  for (const instance of job.instances) {
    const sink = await openLiveSink(job, instance);
    try {
      await sink.plan(restoreEntries(job.source, componentOf(job, instance), job.command.paths));
      await writeEntries(job, instance, sink, new RestoreProgress(job, job.manifest));
      const [lost] = job.result.failed;
      if (lost !== undefined) throw new BackupError('DATA_DAMAGED', `${lost.path}: ${lost.message}`);
      await sink.commit();
    } finally {
      await sink.close();
    }
  }
}
