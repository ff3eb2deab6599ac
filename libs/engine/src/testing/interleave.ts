import type { ByteRange, ObjectInfo, PutOptions, StorageBackend, StorageCapabilities } from '@foodsave-backup/storage';

/** Picks who goes next of the actors that wait, by their numbers. */
export type Choose = (waiting: readonly number[]) => number;

interface Actor {
  /** Calls that wait to be let through, oldest first. */
  parked: (() => void)[];
  running: number;
  done: boolean;
  steps: number;
}

/**
 * Runs several actors on one storage, one call at a time: every call of every actor waits until it is let through, and the
 * next one is chosen only when each actor waits or has finished. The same choices give the same interleaving.
 */
export class Interleaver {
  readonly #storage: StorageBackend;
  readonly #choose: Choose;
  readonly #actors: Actor[] = [];
  #wake: () => void = () => undefined;

  constructor(storage: StorageBackend, choose: Choose) {
    this.#storage = storage;
    this.#choose = choose;
  }

  /** Carries out all works, each on a storage of its own over the common one. Returns their results and numbers of calls. */
  async run<T>(
    works: readonly ((storage: StorageBackend) => Promise<T>)[],
  ): Promise<{ results: PromiseSettledResult<T>[]; steps: number[] }> {
    const running = works.map((work, i) => {
      const actor: Actor = { parked: [], running: 0, done: false, steps: 0 };
      this.#actors[i] = actor;
      return work(new ActorStorage(this.#storage, (call) => this.#pass(actor, call))).finally(() => {
        actor.done = true;
        this.#wake();
      });
    });
    const results = Promise.allSettled(running);
    while (await this.#isQuiet()) {
      const waiting = this.#actors.flatMap((actor, i) => (actor.done ? [] : [i]));
      const actor = this.#actors[this.#choose(waiting)];
      const next = actor?.parked.shift();
      if (actor === undefined || next === undefined) throw new Error('someone was chosen who does not wait');
      actor.steps++;
      actor.running++;
      next();
    }
    return { results: await results, steps: this.#actors.map(({ steps }) => steps) };
  }

  /** False when all have finished. */
  async #isQuiet(): Promise<boolean> {
    const busy = ({ done, parked, running }: Actor): boolean => !done && (parked.length === 0 || running > 0);
    while (this.#actors.some(busy)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#actors.some(({ done }) => !done);
  }

  async #pass<T>(actor: Actor, call: () => Promise<T>): Promise<T> {
    await new Promise<void>((resolve) => {
      actor.parked.push(resolve);
      this.#wake();
    });
    try {
      return await call();
    } finally {
      actor.running--;
      this.#wake();
    }
  }
}

type Pass = <T>(call: () => Promise<T>) => Promise<T>;

class ActorStorage implements StorageBackend {
  readonly #inner: StorageBackend;
  readonly #pass: Pass;

  constructor(inner: StorageBackend, pass: Pass) {
    this.#inner = inner;
    this.#pass = pass;
  }

  get capabilities(): StorageCapabilities {
    return this.#inner.capabilities;
  }

  get location(): string {
    return this.#inner.location;
  }

  put(key: string, body: Uint8Array, options?: PutOptions): Promise<boolean> {
    return this.#pass(() => this.#inner.put(key, body, options));
  }

  get(key: string, range?: ByteRange): Promise<Uint8Array> {
    return this.#pass(() => this.#inner.get(key, range));
  }

  stat(key: string): Promise<ObjectInfo | undefined> {
    return this.#pass(() => this.#inner.stat(key));
  }

  /** One step, as one reading of a directory. */
  async *list(prefix: string): AsyncGenerator<ObjectInfo> {
    const infos: ObjectInfo[] = [];
    await this.#pass(async () => {
      for await (const info of this.#inner.list(prefix)) infos.push(info);
    });
    yield* infos;
  }

  keys(prefix: string): Promise<string[]> {
    return this.#pass(() => this.#inner.keys(prefix));
  }

  delete(key: string): Promise<void> {
    return this.#pass(() => this.#inner.delete(key));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Numbers from 0 up to below 1, the same for the same seed (mulberry32 by Tommy Ettinger, public domain). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Anyone, by the seed. */
export function anyOf(seed: number): Choose {
  const random = seeded(seed);
  return (waiting) => waiting[Math.floor(random() * waiting.length)] ?? 0;
}

/** Stops one actor after so many of its steps until all others have finished. */
export function freeze(actor: number, step: number, choose: Choose): Choose {
  let made = 0;
  return (waiting) => {
    const others = waiting.filter((one) => one !== actor);
    const next = others.length > 0 && made >= step ? choose(others) : choose(waiting);
    if (next === actor) made++;
    return next;
  };
}
