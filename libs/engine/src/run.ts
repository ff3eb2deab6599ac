import {
  BackupError,
  isoTime,
  serializeError,
  toBackupError,
  type Clock,
  type RunEvent,
  type RunEventBody,
  type RunProgress,
} from '@foodsave-backup/kernel';
import type { Command, RunContext, RunOutcome, RunView } from './types.ts';

/** Progress events of a run are at least this far apart, in ms. */
const PROGRESS_MS = 250;
/** Events kept for readers that come late. Beyond it the oldest progress goes, then the oldest warning; the rest never does. */
const EVENTS_MAX = 10_000;
const DROPPED_FIRST = ['progress', 'warning'] as const;

/** One execution of a command, with its journal of events. */
export class Run {
  readonly id: string;
  readonly command: Command;
  readonly finished: Promise<RunView>;
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  readonly #events: RunEvent[] = [];
  readonly #startedAt: string;
  readonly #waiting = new Set<() => void>();
  #resolve!: (view: RunView) => void;
  #view: RunView;
  #seq = 0;
  #lastProgressAt = -Infinity;
  #held: RunProgress | undefined;

  constructor(id: string, command: Command, clock: Clock) {
    this.id = id;
    this.command = command;
    this.#clock = clock;
    this.#startedAt = isoTime(clock);
    this.#view = { id, command: command.command, status: 'queued', startedAt: this.#startedAt };
    this.finished = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get done(): boolean {
    return this.#view.finishedAt !== undefined;
  }

  view(): RunView {
    return { ...this.#view };
  }

  /** Asks the run to stop at the next safe place. Throws RUN_FINISHED. */
  cancel(reason: string): void {
    if (this.done)
      throw new BackupError('RUN_FINISHED', `Run ${this.id} has finished already`, { hint: 'Nothing to cancel.' });
    this.#abort.abort(
      new BackupError('CANCELLED', `Cancelled: ${reason}`, {
        hint: 'Nothing was recorded. Start it again when you like.',
      }),
    );
  }

  /** Runs the command to its end; never throws: the outcome is in `finished`. */
  async execute(work: (context: RunContext) => Promise<RunOutcome>): Promise<void> {
    this.#view = { ...this.#view, status: 'running' };
    this.#append({ type: 'run.started', command: this.command.command, detail: describe(this.command) });
    try {
      this.#abort.signal.throwIfAborted();
      const outcome = await work({
        runId: this.id,
        signal: this.#abort.signal,
        emit: (event) => {
          this.#append(event);
        },
        progress: (progress) => {
          this.#progress(progress);
        },
      });
      this.#finish({
        status: outcome.status,
        result: outcome.result,
        ...(outcome.error ? { error: outcome.error } : {}),
      });
    } catch (error) {
      // What a cancel leaves half done is a failure, whoever asked for it.
      const halfDone = error instanceof BackupError && error.details?.['undone'] === false;
      const known = toBackupError(this.#abort.signal.aborted && !halfDone ? this.#abort.signal.reason : error);
      this.#finish({
        status: known.code === 'CANCELLED' && !halfDone ? 'cancelled' : 'failed',
        error: serializeError(known),
      });
    }
  }

  #progress(progress: RunProgress): void {
    this.#view = { ...this.#view, progress };
    if (this.#held !== undefined && this.#held.phase !== progress.phase) this.#passHeld();
    const now = this.#clock.monotonic();
    if (now - this.#lastProgressAt < PROGRESS_MS) {
      this.#held = progress;
      return;
    }
    this.#lastProgressAt = now;
    this.#held = undefined;
    this.#append({ type: 'progress', progress });
  }

  #append(body: RunEventBody): void {
    if (body.type !== 'progress') this.#passHeld();
    this.#events.push({ ...body, runId: this.id, seq: ++this.#seq, at: isoTime(this.#clock) });
    if (this.#events.length > EVENTS_MAX) this.#dropOne();
    for (const wake of this.#waiting) wake();
  }

  /** What was held back turns out to be the last of its phase. */
  #passHeld(): void {
    const progress = this.#held;
    this.#held = undefined;
    if (progress !== undefined) this.#append({ type: 'progress', progress });
  }

  #dropOne(): void {
    for (const type of DROPPED_FIRST) {
      const oldest = this.#events.findIndex((event) => event.type === type);
      if (oldest < 0) continue;
      this.#events.splice(oldest, 1);
      return;
    }
  }

  #finish(outcome: Pick<RunView, 'status' | 'result' | 'error'>): void {
    if (this.done) return;
    this.#append({ type: 'run.finished', ...outcome });
    this.#view = { ...this.#view, ...outcome, finishedAt: isoTime(this.#clock) };
    this.#resolve(this.view());
    for (const wake of this.#waiting) wake();
  }

  /**
   * Events after `afterSeq`, then new ones as they come, until the run has finished. A slow reader is never waited for: it
   * reads the journal at its own pace.
   */
  async *events(afterSeq = 0, signal?: AbortSignal): AsyncGenerator<RunEvent> {
    let seq = afterSeq;
    for (;;) {
      const next = this.#events.filter((event) => event.seq > seq);
      for (const event of next) {
        seq = event.seq;
        yield event;
        if (event.type === 'run.finished') return;
      }
      if (signal?.aborted === true || (this.done && next.length === 0)) return;
      if (next.length === 0) await this.#wake(signal);
    }
  }

  #wake(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }
}

function describe(command: Command): Readonly<Record<string, unknown>> {
  const { command: _command, ...detail } = command;
  return detail;
}
