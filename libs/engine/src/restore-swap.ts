import { BackupError, isoTime, throwIfCancelled, toBackupError } from '@foodsave-backup/kernel';
import { isSwapSink, type RestoreSink, type SwapSink, type SwapTicket } from '@foodsave-backup/component';
import { putBack } from './live-sink.ts';
import { endRecord, writeRecord, type LiveRestoreRecord, type RecordedSwap } from './restore-record.ts';
import type { RestoreJob } from './restore-job.ts';

export interface Staged {
  instance: string;
  sink: RestoreSink;
}

interface Prepared extends Staged {
  /** Absent where there is nothing to move, or for a sink that cannot take its commit back. */
  swap?: SwapSink;
  recorded?: RecordedSwap;
}

/**
 * Makes all staged components live as one. The phases, each durable in the state directory before what it stands for begins:
 * `prepared` (every component has taken its locks and written down its moves), `committing` (the moves, one right after the
 * other), then `committed` (what was set aside goes) or `undoing` (what was done is taken back). Whoever finds one of them after
 * a crash settles it, see `recoverInterrupted`.
 */
export async function swapAll(job: RestoreJob, staged: readonly Staged[]): Promise<void> {
  const { deps, command, manifest, result } = job;
  const prepared = await prepareAll(staged);
  const record: LiveRestoreRecord = {
    phase: 'prepared',
    ...(result.undo === undefined ? {} : { safety: result.undo }),
    restored: manifest.name,
    at: isoTime(deps.clock),
    instances: [...job.instances],
    ...(command.paths === undefined ? {} : { paths: [...command.paths] }),
    swaps: prepared.flatMap(({ recorded }) => (recorded === undefined ? [] : [recorded])),
  };
  await writeRecord(deps, record);
  try {
    throwIfCancelled(job.context.signal);
    record.phase = 'committing';
    await writeRecord(deps, record);
  } catch (error) {
    await endRecord(deps, 'undone');
    throw error;
  }
  await commitAll(job, prepared, record);
  try {
    for (const { sink } of prepared) await sink.close();
    await endRecord(deps, 'done');
  } catch (error) {
    const message = `All is restored; what was set aside could not be removed yet (${toBackupError(error).message})`;
    job.context.emit({ type: 'warning', code: 'RESTORE_LEFTOVERS', message });
  }
}

/**
 * In the order of the commits: first what is replaced in place, which alone can still fail for want of space and can only be
 * taken back from the safety backup; then what is renamed; last what cannot settle its own commit. Locks are taken last.
 */
async function prepareAll(staged: readonly Staged[]): Promise<Prepared[]> {
  const prepared: Prepared[] = [];
  const lockedLast = [...staged].sort((a, b) => Number(locks(a)) - Number(locks(b)));
  for (const { instance, sink } of lockedLast) {
    if (!isSwapSink(sink)) {
      prepared.push({ instance, sink, recorded: { instance } });
      continue;
    }
    const ticket = await sink.prepare();
    prepared.push({ instance, sink, swap: sink, ...(ticket === undefined ? {} : { recorded: { instance, ticket } }) });
  }
  const rank = ({ recorded, swap }: Prepared): number => (swap === undefined ? 2 : inPlace(recorded?.ticket) ? 0 : 1);
  return prepared.sort((a, b) => rank(a) - rank(b));
}

function locks({ sink }: Staged): boolean {
  return isSwapSink(sink) && sink.locks;
}

function inPlace(ticket: SwapTicket | undefined): boolean {
  return ticket?.inPlace === true;
}

async function commitAll(job: RestoreJob, prepared: readonly Prepared[], record: LiveRestoreRecord): Promise<void> {
  const done: Prepared[] = [];
  let at = '';
  try {
    for (const one of prepared) {
      at = one.instance;
      job.result.components[one.instance] = await one.sink.commit();
      done.push(one);
      if (one.recorded === undefined || !inPlace(one.recorded.ticket)) continue;
      one.recorded.committed = true;
      await writeRecord(job.deps, record);
    }
    for (const { instance, swap } of prepared) {
      at = instance;
      const notes = await swap?.check();
      if (notes !== undefined) job.result.components[instance]?.notes.push(...notes);
    }
    record.phase = 'committed';
    await writeRecord(job.deps, record);
  } catch (error) {
    throw await takeBack(job, { prepared, done, record, at, error: toBackupError(error, 'RESTORE_FAILED') });
  }
  for (const { instance } of prepared) {
    job.context.emit({ type: 'component.finished', component: instance, status: 'complete' });
  }
}

interface Failure {
  prepared: readonly Prepared[];
  done: readonly Prepared[];
  record: LiveRestoreRecord;
  /** The component that failed. */
  at: string;
  error: BackupError;
}

/** Takes back what was committed, and gives the error that tells what happened and how things are now. */
async function takeBack(job: RestoreJob, { prepared, done, record, at, error }: Failure): Promise<BackupError> {
  const { deps } = job;
  job.result.components = {};
  record.phase = 'undoing';
  // On a full disk, say: then what is on record leads a later process to finish instead, should this one die now.
  await writeRecord(deps, record).catch(() => undefined);
  // A commit that could not even undo itself needs the safety backup like one that cannot be taken back.
  const left = prepared.filter(({ instance }) => instance === at && error.details?.['stage'] !== undefined);
  for (const one of [...done].reverse()) if (!(await reverted(one))) left.unshift(one);
  const names = done.map(({ instance }) => instance).join(', ');
  const { undone, after } = await fromSafety(
    job,
    left.map(({ instance }) => instance),
  );
  if (!undone) for (const { swap } of left) swap?.keep();
  await endRecord(deps, undone ? 'undone' : 'done');
  const outcome =
    after ?? (names === '' ? 'Nothing was changed' : `${names} was put back to its state before the restore`);
  return new BackupError(error.code, `${at} could not be restored: ${error.message}. ${outcome}`, {
    hint: error.hint ?? 'Repair what it names and restore again.',
    cause: error,
    details: { ...error.details, undone },
  });
}

async function reverted({ swap }: Prepared): Promise<boolean> {
  try {
    return (await swap?.revert()) === true;
  } catch {
    // The safety backup is tried next; if that fails as well, the person hears of it.
    return false;
  }
}

/** Puts components that cannot be taken back by themselves to what the safety backup holds. */
async function fromSafety(
  job: RestoreJob,
  instances: readonly string[],
): Promise<{ undone: boolean; after: string | undefined }> {
  if (instances.length === 0) return { undone: true, after: undefined };
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
    const result = { ...job.result, failed: [] };
    await putBack({ ...job, context, manifest, source, instances: saved, command, result });
    if (saved.length === instances.length) return { undone: true, after: undefined };
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
