import { BackupError, newId, type Clock, type RunEvent } from '@foodsave-backup/kernel';
import { Run } from './run.ts';
import type { Command, RunContext, RunOutcome, RunView } from './types.ts';

/** Carries out a command: in this process, or in a child of it. */
export type Execute = (run: Run, context: RunContext) => Promise<RunOutcome>;

export interface SubmitOptions {
  /** Who asked: `cli`, `api`, `scheduler`. */
  actor: string;
  /** The same key with the same command gives the same run. */
  idempotencyKey?: string;
}

const HISTORY_MAX = 500;
/** Runs beside the queue at once. */
const BESIDE_MAX = 4;

/**
 * The queue of a process: one run at a time, in order. A `create` without a name joins a waiting or running one with the same
 * parameters. What other processes do is kept apart by the leases of the repository.
 */
export class RunManager {
  readonly #clock: Clock;
  readonly #execute: Execute;
  readonly #runs = new Map<string, Run>();
  readonly #keys = new Map<string, { run: Run; command: string }>();
  readonly #listeners = new Set<(event: RunEvent) => void>();
  readonly #beside = new Set<Promise<void>>();
  #tail: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(clock: Clock, execute: Execute) {
    this.#clock = clock;
    this.#execute = execute;
  }

  submit(command: Command, options: SubmitOptions): Run {
    this.#assertOpen();
    const fingerprint = fingerprintOf(command);
    const known = options.idempotencyKey === undefined ? undefined : this.#keys.get(options.idempotencyKey);
    if (known !== undefined) {
      if (known.command === fingerprint) return known.run;
      throw new BackupError('IDEMPOTENCY_CONFLICT', 'This Idempotency-Key was used for another request', {
        hint: 'Use a new key for each different request.',
      });
    }
    const run = this.#joinable(command, fingerprint) ?? this.#enqueue(command);
    if (options.idempotencyKey !== undefined) this.#keys.set(options.idempotencyKey, { run, command: fingerprint });
    return run;
  }

  /**
   * Starts a run at once, beside the queue: one that only reads, and that waits for somebody as long as that takes. Throws
   * LOCKED when there are too many.
   */
  beside(command: Command, execute: Execute): Run {
    this.#assertOpen();
    if (this.#beside.size >= BESIDE_MAX) {
      throw new BackupError('LOCKED', `${BESIDE_MAX} downloads are under way already`, {
        hint: 'Try again when one of them has ended.',
      });
    }
    const run = this.#begin(command);
    const work = run
      .execute((context) => execute(run, context))
      .finally(() => {
        this.#beside.delete(work);
      });
    this.#beside.add(work);
    return run;
  }

  #assertOpen(): void {
    if (!this.#closed) return;
    throw new BackupError('INTERRUPTED', 'The server is shutting down', { hint: 'Try again when it is back.' });
  }

  #joinable(command: Command, fingerprint: string): Run | undefined {
    if (command.command !== 'create' || command.name !== undefined) return undefined;
    for (const run of this.#runs.values()) {
      if (!run.done && fingerprintOf(run.command) === fingerprint) return run;
    }
    return undefined;
  }

  #enqueue(command: Command): Run {
    const run = this.#begin(command);
    const work = this.#tail.then(() => run.execute((context) => this.#execute(run, context)));
    this.#tail = work;
    return run;
  }

  #begin(command: Command): Run {
    const run = new Run(newId(this.#clock), command, this.#clock);
    this.#runs.set(run.id, run);
    this.#forget();
    void this.#publish(run);
    return run;
  }

  async #publish(run: Run): Promise<void> {
    for await (const event of run.events()) for (const listener of this.#listeners) tell(listener, event);
  }

  #forget(): void {
    for (const [id, run] of this.#runs) {
      if (this.#runs.size <= HISTORY_MAX) break;
      if (run.done) this.#runs.delete(id);
    }
    for (const [key, { run }] of this.#keys) if (!this.#runs.has(run.id)) this.#keys.delete(key);
  }

  /** Throws RUN_NOT_FOUND. */
  get(id: string): Run {
    const run = this.#runs.get(id);
    if (run === undefined) {
      throw new BackupError('RUN_NOT_FOUND', `There is no run "${id.slice(0, 40)}"`, {
        hint: 'List the runs to see their ids.',
      });
    }
    return run;
  }

  /** Newest first. */
  list(): RunView[] {
    return [...this.#runs.values()].map((run) => run.view()).reverse();
  }

  /** Every event of every run from now on. Returns the function that ends it. */
  listen(listener: (event: RunEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Cancels what runs or waits, and waits for it. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const run of this.#runs.values()) if (!run.done) run.cancel('the server is shutting down');
    await Promise.all([this.#tail, ...this.#beside]);
  }
}

/** A listener that throws is the host's own fault, and no reason to keep the event from the others. */
function tell(listener: (event: RunEvent) => void, event: RunEvent): void {
  try {
    listener(event);
  } catch (error) {
    process.emitWarning(`A listener of run events failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function fingerprintOf(command: Command): string {
  const given = Object.entries(command).filter(([, value]) => value !== undefined);
  return JSON.stringify(given.sort(([a], [b]) => (a < b ? -1 : 1)));
}
