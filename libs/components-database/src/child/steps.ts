import { closeSync, fsyncSync, openSync, statSync } from 'node:fs';
import { BackupError, systemClock, systemErrorCode } from '@foodsave-backup/kernel';
import { ALL_PAGES, type StepPolicy, type StepProgress } from './binding.ts';

const PINNED_STEP_BYTES = 16 << 20;
const BOUNDED_STEP_BYTES = 1 << 20;
const PAUSE_MS = 2;
const SYNC_BYTES = 16 << 20;
const MAX_RESTARTS = 3;
const MAX_STEPWISE_MS = 600_000;
const WAL_GROWTH_LIMIT = 4 * 2 ** 30;

/**
 * Steps for a copy inside a pinned read transaction. Writers go on, but the log cannot be reset while the pin holds, so its
 * growth is bounded: by 4 GiB or twice the database, whichever is more.
 */
export function pinnedSteps(database: string, pageSize: number): StepPolicy {
  const start = sizeOf(`${database}-wal`);
  const limit = Math.max(WAL_GROWTH_LIMIT, 2 * sizeOf(database));
  const pages = Math.max(1, Math.floor(PINNED_STEP_BYTES / pageSize));
  return {
    next() {
      if (sizeOf(`${database}-wal`) - start > limit) {
        throw new BackupError('SOURCE_CHANGED', 'The write-ahead log grew too much while the database was copied', {
          hint: 'Run the backup when the application writes less.',
        });
      }
      return { pages, pauseMs: 0 };
    },
  };
}

/** The size in bytes, 0 for a file that is not there. Never opens it. */
function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return 0;
    throw error;
  }
}

/**
 * Steps for a database with a rollback journal, where any reader keeps writers from committing: short ones with pauses, in
 * which writers get their turn and make SQLite start the copy again; after a bounded number of those or a bounded time, one
 * last step over everything.
 */
export class BoundedSteps implements StepPolicy {
  private readonly pages: number;
  private readonly pageSize: number;
  private readonly snapshot: string;
  private readonly onPass: () => void;
  private readonly started = systemClock.monotonic();
  private previousRemaining: number | undefined;
  private finalPass = false;
  restarts = 0;
  longestStallMs = 0;
  private unsyncedBytes = 0;

  /** `snapshot` is the file that is written; `onPass` is called when a pass begins whose end, if nothing interrupts it, is the copy. */
  constructor(pageSize: number, snapshot: string, onPass: () => void) {
    this.pageSize = pageSize;
    this.snapshot = snapshot;
    this.pages = Math.max(1, Math.floor(BOUNDED_STEP_BYTES / pageSize));
    this.onPass = onPass;
  }

  get usedFullPass(): boolean {
    return this.finalPass;
  }

  next(last: StepProgress | undefined): { pages: number; pauseMs: number } {
    const progress = this.previousRemaining;
    if (last === undefined) {
      this.onPass();
    } else {
      this.longestStallMs = Math.max(this.longestStallMs, last.elapsedMs);
      this.flush();
      if (progress !== undefined && last.remaining >= progress) {
        this.restarts++;
        this.onPass();
      }
      this.previousRemaining = last.remaining;
    }
    const late = systemClock.monotonic() - this.started > MAX_STEPWISE_MS;
    if (!this.finalPass && (this.restarts >= MAX_RESTARTS || late)) {
      this.finalPass = true;
      this.onPass();
    }
    return { pages: this.finalPass ? ALL_PAGES : this.pages, pauseMs: last === undefined ? 0 : PAUSE_MS };
  }

  /** The last step commits the copy with the source still locked: what is on the disk by then need not be waited for. */
  private flush(): void {
    this.unsyncedBytes += this.pages * this.pageSize;
    if (this.unsyncedBytes < SYNC_BYTES) return;
    this.unsyncedBytes = 0;
    const file = openSync(this.snapshot, 'r');
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  }

  done(elapsedMs: number): void {
    this.longestStallMs = Math.max(this.longestStallMs, elapsedMs);
  }
}
