import type { EventEmitter } from 'node:events';

/** Ctrl-C, a service manager that stops us, a terminal that is closed. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type Signal = (typeof SIGNALS)[number];

/** Receives a signal; tells whether it was dealt with. */
type Handler = (signal: Signal) => boolean;

/** What signals mean at the moment; while nobody deals with them, they end the process at once. */
export class Interrupts {
  readonly #source: EventEmitter;
  readonly #exit: () => void;
  #handler: Handler | undefined;

  /** `source` emits the signals; `exit` ends the process at once. */
  constructor(source: EventEmitter, exit: () => void) {
    this.#source = source;
    this.#exit = exit;
    for (const signal of SIGNALS) source.on(signal, this.#received);
  }

  dispose(): void {
    for (const signal of SIGNALS) this.#source.off(signal, this.#received);
  }

  /** While `work` runs, the first signal calls `stop`, if there is still something to stop; the second ends the process at once. */
  async stopping<T>(stop: Handler, work: () => Promise<T>): Promise<T> {
    let asked = false;
    return this.handling((signal) => {
      if (asked) return false;
      asked = stop(signal);
      return asked;
    }, work);
  }

  /** While `work` runs, every signal goes to `handler`. */
  async handling<T>(handler: Handler, work: () => Promise<T>): Promise<T> {
    const before = this.#handler;
    this.#handler = handler;
    try {
      return await work();
    } finally {
      this.#handler = before;
    }
  }

  readonly #received = (signal: Signal): void => {
    if (this.#handler?.(signal) !== true) this.#exit();
  };
}
