import type { Estimate } from '@foodsave-backup/component';
import type { ManifestComponent } from '@foodsave-backup/repository';
import type { CaptureProgress } from './capture.ts';
import { openComponent } from './opened.ts';
import type { ComponentSpec, EngineDeps } from './types.ts';

/** A backup that is done by then shows no percentage, and has not walked its files twice. */
const LOOK_AFTER_MS = 1000;

export interface Estimating {
  deps: EngineDeps;
  specs: readonly ComponentSpec[];
  scratch: string;
  encrypted: boolean;
  /** What the newest backup says of an instance. */
  before: (instance: string) => ManifestComponent | undefined;
}

/**
 * Carries out `work` with totals for its progress: those of the newest backup, which cost nothing to know; where there is none, a
 * look at the source beside the work. A source that cannot be looked at fails later, with its own error.
 */
export async function withEstimate<T>(job: Estimating, progress: CaptureProgress, work: () => Promise<T>): Promise<T> {
  const known = job.specs.map(({ instance }) => job.before(instance));
  const sum = { bytes: 0, files: 0 };
  for (const one of known) {
    sum.bytes += one?.sizeBytes ?? 0;
    sum.files += one === undefined ? 0 : one.files + one.directories + one.links;
  }
  const unknown = job.specs.filter((_, i) => known[i] === undefined);
  if (unknown.length === 0) {
    progress.totals = sum;
    return work();
  }
  const stop = new AbortController();
  const { clock } = job.deps;
  const started = clock.monotonic();
  let looked: Promise<void> | undefined;
  progress.told = () => {
    if (looked !== undefined || clock.monotonic() - started < LOOK_AFTER_MS) return;
    looked = lookAt(job, unknown, stop.signal).then((found) => {
      if (found === undefined) return;
      progress.totals = { bytes: sum.bytes + found.bytes, files: sum.files + found.entries };
    });
  };
  try {
    return await work();
  } finally {
    progress.told = undefined;
    stop.abort();
    // It uses the scratch directory too.
    await looked;
  }
}

/** Undefined when it was stopped. */
async function lookAt(
  { deps, scratch, encrypted }: Estimating,
  specs: readonly ComponentSpec[],
  signal: AbortSignal,
): Promise<Estimate | undefined> {
  const found = { bytes: 0, entries: 0 };
  for (const spec of specs) {
    if (signal.aborted) return undefined;
    try {
      const component = openComponent(deps, spec, scratch, encrypted);
      const { bytes, entries } = await (component.estimate?.(signal) ?? component.probe(signal));
      found.bytes += bytes;
      found.entries += entries;
    } catch {
      // The capture of it says what is wrong.
    }
  }
  return signal.aborted ? undefined : found;
}
