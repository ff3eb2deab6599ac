import type { Run, RunEvent, RunStatus } from '@foodsave-backup/contracts/types';

export type Transition = Exclude<RunEvent, { type: 'progress' }>;
export type Warning = Extract<RunEvent, { type: 'warning' }>;

interface Sample {
  /** Milliseconds since 1970, by the server's clock. */
  at: number;
  bytes: number;
}

/** A run as this page knows it: what the server answered, brought forward by events. */
export interface TrackedRun {
  run: Readonly<Run>;
  /** Highest sequence number of the events that were applied; 0 before the first. */
  seq: number;
  /** When the last of them arrived, by the browser's clock. */
  heardAt: number;
  /** All events but progress, in their order. */
  journal: readonly Transition[];
  /** Of the present phase, oldest first. */
  samples: readonly Sample[];
  /** Phases in the order in which they came. */
  phases: readonly string[];
}

/** Rate and time left are taken over so many milliseconds. */
const WINDOW_MS = 10_000;
/** A stream that has been silent for so long no longer outranks an answer of the server. */
const QUIET_MS = 1000;

const FINISHED: Readonly<Record<RunStatus, boolean>> = {
  queued: false,
  running: false,
  succeeded: true,
  partial: true,
  failed: true,
  cancelled: true,
  interrupted: true,
};

export function isFinished(status: RunStatus): boolean {
  return FINISHED[status];
}

function fresh(run: Readonly<Run>): TrackedRun {
  const phases = run.progress === undefined ? [] : [run.progress.phase];
  return { run, seq: 0, heardAt: 0, journal: [], samples: [], phases };
}

/**
 * Takes in an answer of the server that was asked for at `requestedAt`. Events that arrived since then are newer, and a
 * finished run never goes back.
 */
export function applySnapshot(known: TrackedRun | undefined, run: Readonly<Run>, requestedAt: number): TrackedRun {
  if (known === undefined) return fresh(run);
  if (isFinished(run.status)) return { ...known, run };
  if (isFinished(known.run.status)) return known;
  const outdated = known.seq > 0 && known.heardAt + QUIET_MS > requestedAt;
  if (outdated) return { ...known, run: { ...run, ...known.run } };
  return withPhase({ ...known, run });
}

/** Takes in one event. An older one than was seen already changes neither progress nor state. */
export function applyEvent(known: TrackedRun | undefined, event: RunEvent, now: number): TrackedRun | undefined {
  const base = known ?? begun(event);
  if (base === undefined) return undefined;
  const newer = event.seq > base.seq;
  const journalled = event.type === 'progress' ? base : { ...base, journal: insert(base.journal, event) };
  if (!newer) return journalled;
  const heard = { ...journalled, seq: event.seq, heardAt: now };
  if (isFinished(base.run.status)) return heard;
  switch (event.type) {
    case 'run.started':
      return { ...heard, run: { ...heard.run, status: 'running' } };
    case 'progress':
      return advanced(heard, event);
    case 'run.finished':
      return { ...heard, run: finished(heard.run, event) };
    case 'component.started':
    case 'component.finished':
    case 'warning':
      return heard;
  }
}

/** Takes in what happened in a run from its beginning, as its journal tells it. */
export function applyJournal(
  known: TrackedRun | undefined,
  events: readonly RunEvent[],
  now: number,
): TrackedRun | undefined {
  const told = events.reduce<TrackedRun | undefined>((tracked, event) => applyEvent(tracked, event, now), undefined);
  if (known === undefined || told === undefined) return told ?? known;
  const journal = known.journal.reduce(insert, told.journal);
  if (known.seq > told.seq) {
    const later = known.phases.filter((phase) => !told.phases.includes(phase));
    return { ...known, journal, phases: [...told.phases, ...later] };
  }
  const run = isFinished(known.run.status) ? known.run : { ...known.run, ...told.run };
  return { ...told, journal, run };
}

/** A run that is heard of for the first time, by the event that starts it. */
function begun(event: RunEvent): TrackedRun | undefined {
  if (event.type !== 'run.started') return undefined;
  const { runId: id, command, at } = event;
  return fresh({ id, command, status: 'running', startedAt: at });
}

function finished(run: Readonly<Run>, event: Extract<RunEvent, { type: 'run.finished' }>): Readonly<Run> {
  return {
    ...run,
    status: event.status,
    finishedAt: event.at,
    ...(event.result === undefined ? {} : { result: event.result }),
    ...(event.error === undefined ? {} : { error: event.error }),
  };
}

function withPhase(tracked: TrackedRun): TrackedRun {
  const phase = tracked.run.progress?.phase;
  if (phase === undefined || tracked.phases.at(-1) === phase) return tracked;
  return { ...tracked, phases: [...tracked.phases, phase], samples: [] };
}

function advanced(tracked: TrackedRun, event: Extract<RunEvent, { type: 'progress' }>): TrackedRun {
  const { progress } = event;
  const moved = withPhase({ ...tracked, run: { ...tracked.run, status: 'running', progress } });
  const at = Date.parse(event.at);
  const samples = [...moved.samples.filter((sample) => at - sample.at <= WINDOW_MS), { at, bytes: progress.doneBytes }];
  return { ...moved, samples };
}

function insert(journal: readonly Transition[], event: Transition): readonly Transition[] {
  if (journal.some((known) => known.seq === event.seq)) return journal;
  return [...journal, event].sort((a, b) => a.seq - b.seq);
}

/** 0 to 1 of the present phase; `undefined` while its size is unknown. 1 is kept for what has finished. */
export function fractionOf({ run }: TrackedRun): number | undefined {
  if (run.status === 'succeeded' || run.status === 'partial') return 1;
  const { progress } = run;
  if (progress === undefined) return undefined;
  const { doneBytes, totalBytes = 0, doneFiles, totalFiles = 0 } = progress;
  if (totalBytes > 0) return Math.min(1, doneBytes / totalBytes);
  if (totalFiles > 0) return Math.min(1, doneFiles / totalFiles);
  return undefined;
}

/** Bytes a second over the last seconds; `undefined` while that cannot be told. */
export function rateOf({ samples }: TrackedRun): number | undefined {
  const first = samples[0];
  const last = samples.at(-1);
  if (first === undefined || last === undefined || last.at - first.at < 500) return undefined;
  return Math.max(0, ((last.bytes - first.bytes) / (last.at - first.at)) * 1000);
}

/** Milliseconds until the present phase ends; `undefined` while that cannot be told. */
export function timeLeftOf(tracked: TrackedRun): number | undefined {
  const rate = rateOf(tracked);
  const progress = tracked.run.progress;
  if (rate === undefined || rate === 0 || progress?.totalBytes === undefined) return undefined;
  return (Math.max(0, progress.totalBytes - progress.doneBytes) / rate) * 1000;
}

export function warningsOf({ journal }: TrackedRun): Warning[] {
  return journal.filter((event) => event.type === 'warning');
}

export type ComponentState = 'running' | 'complete' | 'failed';

/** Component instances in the order in which they were begun. */
export function componentsOf({ journal }: TrackedRun): Map<string, ComponentState> {
  const states = new Map<string, ComponentState>();
  for (const event of journal) {
    if (event.type === 'component.started') states.set(event.component, 'running');
    if (event.type === 'component.finished') states.set(event.component, event.status);
  }
  return states;
}
