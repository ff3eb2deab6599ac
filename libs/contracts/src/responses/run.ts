import type { RunCommand, RunProgress as KernelRunProgress, RunStatus } from '@foodsave-backup/kernel';
import { ErrorInfo, PageInfo } from './backup.ts';
import type { Page } from './backup.ts';

/** Cumulative figures of a run. */
export class RunProgress implements KernelRunProgress {
  /**
   * What is going on.
   * @example 'capture'
   */
  phase!: string;

  /**
   * Component instance that is worked on.
   * @example 'database:main'
   */
  component?: string;

  /** File that is worked on, as its path in the backup. */
  current?: string;

  /**
   * Bytes.
   * @example 1048576
   */
  doneBytes!: number;

  /** Bytes; absent while unknown. */
  totalBytes?: number;

  /** @example 12 */
  doneFiles!: number;

  /** Absent while unknown. */
  totalFiles?: number;

  /** Bytes written to the repository so far. */
  storedBytes?: number;
}

/** One execution of a command. */
export class Run {
  /** @example '01k9z3s5e8m0v6qv7c2d4f8g1h' */
  id!: string;

  /** @example 'create' */
  command!: RunCommand;

  /**
   * `partial`: done, but some source could not be read. `interrupted`: its process ended before it did.
   * @example 'running'
   */
  status!: RunStatus;

  /** ISO 8601 UTC: when it was asked for. */
  startedAt!: string;

  /** ISO 8601 UTC; absent until it ends. */
  finishedAt?: string;

  /** Absent before there is any. */
  progress?: RunProgress;

  /** What the command answers (a backup, what was restored, …), once it has succeeded. */
  result?: unknown;

  /** Why it did not succeed. */
  error?: ErrorInfo;
}

/** A page of runs, newest first. */
export class RunPage extends PageInfo implements Page<Run> {
  items!: Run[];
}
