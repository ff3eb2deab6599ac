import type { SerializedError } from './errors.ts';

/** Commands that become runs. */
export type RunCommand =
  'init' | 'create' | 'restore' | 'verify' | 'check' | 'repair' | 'cleanup' | 'delete' | 'undo' | 'export' | 'import';

export type RunStatus = 'queued' | 'running' | 'succeeded' | 'partial' | 'failed' | 'cancelled' | 'interrupted';

/** Cumulative figures of a run. `totalBytes` is absent while it is unknown. */
export interface RunProgress {
  phase: string;
  /** Component instance that is worked on, e.g. `database:main`. */
  component?: string;
  /** File that is worked on, as its path in the backup. */
  current?: string;
  doneBytes: number;
  totalBytes?: number;
  doneFiles: number;
  totalFiles?: number;
  /** Bytes written to the repository so far. */
  storedBytes?: number;
}

interface EventBase {
  runId: string;
  /** Starts at 1 and grows by one per event of a run. */
  seq: number;
  /** ISO 8601 UTC. */
  at: string;
}

export type RunEvent = EventBase &
  (
    | { type: 'run.started'; command: RunCommand; detail: Readonly<Record<string, unknown>> }
    | { type: 'component.started'; component: string }
    | { type: 'progress'; progress: RunProgress }
    | { type: 'warning'; component?: string; code: string; message: string; path?: string }
    | { type: 'component.finished'; component: string; status: 'complete' | 'failed'; error?: SerializedError }
    | { type: 'run.finished'; status: RunStatus; result?: unknown; error?: SerializedError }
  );

type WithoutBase<T> = T extends unknown ? Omit<T, keyof EventBase> : never;
/** An event before its run gives it id, sequence number and time. */
export type RunEventBody = WithoutBase<RunEvent>;
