import type { Clock } from '@foodsave-backup/kernel';

interface Sleeper {
  readonly dueAt: number;
  readonly wake: () => void;
}

export interface SimulatedClockOptions {
  /** Wall time at the start, in ms since the epoch. Default 2026-11-23T04:00:00Z. */
  start?: number;
  /** Every sleep moves the time on by itself and ends at once. */
  autoAdvance?: boolean;
}

/** A clock that stands still until a test moves it. */
export class SimulatedClock implements Clock {
  #wall: number;
  #monotonic = 0;
  #sleepers: Sleeper[] = [];
  #watchers: { count: number; resolve: () => void }[] = [];
  readonly #autoAdvance: boolean;

  constructor(options: SimulatedClockOptions = {}) {
    this.#wall = options.start ?? Date.UTC(2026, 10, 23, 4);
    this.#autoAdvance = options.autoAdvance ?? false;
  }

  now(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  /** How many sleep at the moment. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#autoAdvance) {
      this.#move(Math.max(0, ms));
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const sleeper: Sleeper = {
        dueAt: this.#monotonic + Math.max(0, ms),
        wake: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      const onAbort = (): void => {
        this.#sleepers = this.#sleepers.filter((s) => s !== sleeper);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#sleepers.push(sleeper);
      this.#tellWatchers();
    });
  }

  /**
   * Moves the time on by `ms`. Wakes each sleeper at its own moment, earliest first, and lets what it woke run until it
   * waits for something, so that a loop that sleeps again is woken again within the same advance.
   */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0))
      throw new RangeError(`Time moves on by a non-negative number of ms, not ${ms}; use set() to go back`);
    const end = this.#monotonic + ms;
    await settle();
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#move(Math.max(0, next.dueAt - this.#monotonic));
      this.#sleepers = this.#sleepers.filter((s) => s !== next);
      next.wake();
      await settle();
    }
    this.#move(Math.max(0, end - this.#monotonic));
  }

  /** Moves to the wall time `ms`: on like `advance`, or back, which wakes nobody and leaves the monotonic time. */
  async set(ms: number): Promise<void> {
    if (ms >= this.#wall) await this.advance(ms - this.#wall);
    else this.#wall = ms;
  }

  /** Makes the wall clock jump by `ms` in either direction; no time passes and nobody wakes. */
  jump(ms: number): void {
    this.#wall += ms;
  }

  /** Resolves when at least `count` sleep. */
  async untilSleeping(count = 1): Promise<void> {
    if (this.#sleepers.length >= count) return;
    await new Promise<void>((resolve) => this.#watchers.push({ count, resolve }));
  }

  #next(end: number): Sleeper | undefined {
    let earliest: Sleeper | undefined;
    for (const sleeper of this.#sleepers) {
      if (sleeper.dueAt <= end && (!earliest || sleeper.dueAt < earliest.dueAt)) earliest = sleeper;
    }
    return earliest;
  }

  #move(ms: number): void {
    this.#wall += ms;
    this.#monotonic += ms;
  }

  #tellWatchers(): void {
    const due = this.#watchers.filter((w) => w.count <= this.#sleepers.length);
    this.#watchers = this.#watchers.filter((w) => !due.includes(w));
    for (const { resolve } of due) resolve();
  }
}

/** Lets promises that are already resolved run to where they wait next. */
async function settle(): Promise<void> {
  await new Promise(setImmediate);
}
