import { throwIfCancelled } from '@foodsave-backup/kernel';
import type { ObjectInfo, StorageBackend } from '../port.ts';
import type { StorageOperation } from './forward.ts';
import { ForwardingStorage } from './forward.ts';

const ALL: readonly StorageOperation[] = ['put', 'get', 'stat', 'list', 'delete'];

/** At most `limit` operations of `backend` at a time (of `operations`, by default of all); the rest wait in order. */
export function withConcurrencyLimit(
  backend: StorageBackend,
  limit: number,
  operations: readonly StorageOperation[] = ALL,
): StorageBackend {
  const gate = new Gate(limit);
  return new ForwardingStorage(
    backend,
    (operation, _key, run, signal) => (operations.includes(operation) ? gate.run(run, signal) : run()),
    (prefix) => (operations.includes('list') ? limitedList(backend, prefix, gate) : backend.list(prefix)),
  );
}

/** At most `limit` reads of `backend` at a time; nothing else waits. Bounds memory: a read is up to 64 MiB. */
export function withReadLimit(backend: StorageBackend, limit: number): StorageBackend {
  return withConcurrencyLimit(backend, limit, ['get']);
}

/** Holds its place only while the medium works, so that a consumer may use the same backend between two entries. */
async function* limitedList(backend: StorageBackend, prefix: string, gate: Gate): AsyncGenerator<ObjectInfo> {
  const iterator = backend.list(prefix)[Symbol.asyncIterator]();
  let finished = false;
  try {
    for (;;) {
      const step = await gate.run(() => iterator.next());
      if (step.done === true) {
        finished = true;
        return;
      }
      yield step.value;
    }
  } finally {
    if (!finished) await iterator.return?.();
  }
}

class Gate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    if (!Number.isInteger(limit) || limit < 1) throw new RangeError(`A limit is a positive integer, not ${limit}`);
    this.#free = limit;
  }

  async run<T>(run: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#enter(signal);
    try {
      return await run();
    } finally {
      const next = this.#waiting.shift();
      // The place goes straight to who waits longest, or a newcomer could take it in between.
      if (next) next();
      else this.#free++;
    }
  }

  async #enter(signal: AbortSignal | undefined): Promise<void> {
    throwIfCancelled(signal);
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const enter = (): void => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(new Error('Cancelled while waiting'));
      };
      this.#waiting.push(enter);
      signal?.addEventListener('abort', leave, { once: true });
    }).catch((error: unknown) => {
      throwIfCancelled(signal);
      throw error;
    });
  }
}
