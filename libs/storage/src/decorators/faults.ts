import { BackupError } from '@foodsave-backup/kernel';
import type { ObjectInfo, StorageBackend } from '../port.ts';
import type { Around, StorageOperation } from './forward.ts';
import { ForwardingStorage } from './forward.ts';

export interface FaultPlan {
  /** The operation that fails, counted from 1 over those that `operations` and `keys` select; 0 fails none. */
  at: number;
  /** `once`: only that one; `from`: that one and all later ones; `every`: each multiple of it. Default `once`. */
  mode?: 'once' | 'from' | 'every';
  /** `before`: nothing happened; `after`: it happened, and only the answer is lost. Default `before`. */
  when?: 'before' | 'after';
  /** Which operations count. Default: all. */
  operations?: readonly StorageOperation[];
  /** Which keys (or prefixes of listings) count. Default: all. */
  keys?: RegExp;
  /** Default: an IO_ERROR that is not transient. */
  error?: () => unknown;
}

export interface FaultyStorage extends StorageBackend {
  /** Operations that counted so far. */
  readonly operations: number;
  /** Those of them that failed. */
  readonly failures: number;
}

/** Fails the n-th operation, to prove what a program does with each of its operations failing. */
export function withFaults(backend: StorageBackend, plan: FaultPlan): FaultyStorage {
  return new FaultStorage(backend, new Counter(plan));
}

class FaultStorage extends ForwardingStorage implements FaultyStorage {
  readonly #counter: Counter;

  constructor(backend: StorageBackend, counter: Counter) {
    const around: Around = (operation, key, run) => counter.run(operation, key, run);
    super(backend, around, (prefix) => faultyList(backend, prefix, counter));
    this.#counter = counter;
  }

  get operations(): number {
    return this.#counter.operations;
  }

  get failures(): number {
    return this.#counter.failures;
  }
}

class Counter {
  operations = 0;
  failures = 0;
  readonly #plan: FaultPlan;

  constructor(plan: FaultPlan) {
    this.#plan = plan;
  }

  /** Counts one operation; resolves the moment at which it has to fail. */
  next(operation: StorageOperation, key: string): 'before' | 'after' | undefined {
    const { at, mode = 'once', when = 'before', operations, keys } = this.#plan;
    if (operations && !operations.includes(operation)) return undefined;
    if (keys && key.search(keys) === -1) return undefined;
    this.operations++;
    const n = this.operations;
    const due = { once: n === at, from: n >= at, every: n % at === 0 }[mode];
    if (at < 1 || !due) return undefined;
    this.failures++;
    return when;
  }

  failure(operation: StorageOperation, key: string): unknown {
    const details = { operation, key, injected: true };
    return (
      this.#plan.error?.() ?? new BackupError('IO_ERROR', `Injected fault in ${operation} of "${key}"`, { details })
    );
  }

  async run<T>(operation: StorageOperation, key: string, run: () => Promise<T>): Promise<T> {
    const fault = this.next(operation, key);
    if (fault === 'before') throw this.failure(operation, key);
    const result = await run();
    if (fault === 'after') throw this.failure(operation, key);
    return result;
  }
}

/** A listing that loses its end fails after its first half, as one of several pages does. */
async function* faultyList(backend: StorageBackend, prefix: string, counter: Counter): AsyncGenerator<ObjectInfo> {
  const fault = counter.next('list', prefix);
  if (fault === 'before') throw counter.failure('list', prefix);
  if (fault === undefined) {
    yield* backend.list(prefix);
    return;
  }
  const infos: ObjectInfo[] = [];
  for await (const info of backend.list(prefix)) infos.push(info);
  yield* infos.slice(0, Math.ceil(infos.length / 2));
  throw counter.failure('list', prefix);
}
