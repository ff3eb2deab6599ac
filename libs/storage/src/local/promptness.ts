/** A medium that answered within so many ms did so from memory, or nearly. */
const PROMPT_MS = 10;
/** For so many ms after such an answer, small questions are not worth the way through the thread pool. */
const TRUST_MS = 20;

/**
 * Whether a medium answers at once. A question that goes through the thread pool and back costs many times what the kernel takes for
 * it; one that is asked in this thread stops the whole process for as long as the medium takes. So the medium is asked through the
 * pool, and in this thread only for a moment after it has answered quickly: a dead or slow one holds up nothing but who asks,
 * and whoever asks a thousand times lets others have their turn in between.
 */
export class Promptness {
  readonly #now: () => number;
  #until = 0;

  /** `now`: ms of any clock that does not go back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  get isPrompt(): boolean {
    return this.#now() < this.#until;
  }

  /** Asks through the pool, and learns from how long that takes. */
  async pooled<T>(ask: () => Promise<T>): Promise<T> {
    const began = this.#now();
    try {
      return await ask();
    } finally {
      const now = this.#now();
      this.#until = now - began < PROMPT_MS ? now + TRUST_MS : 0;
    }
  }

  /** Asks in this thread; one slow answer ends that. */
  inThread<T>(ask: () => T): T {
    const began = this.#now();
    try {
      return ask();
    } finally {
      if (this.#now() - began >= PROMPT_MS) this.#until = 0;
    }
  }
}
