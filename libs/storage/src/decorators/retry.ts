import type { Clock } from '@foodsave-backup/kernel';
import { throwIfCancelled } from '@foodsave-backup/kernel';
import { isTransient } from '../errors.ts';
import type { ObjectInfo, PutOptions, StorageBackend } from '../port.ts';
import type { StorageOperation } from './forward.ts';
import { ForwardingStorage } from './forward.ts';

export interface RetryOptions {
  clock: Clock;
  /** Tries in all, at least 1. */
  attempts: number;
  /** The longest wait before the first retry, in ms; it doubles with each further one. */
  baseMs: number;
  /** The longest wait of all, in ms. */
  maxMs: number;
  /** Uniform in [0, 1). */
  random: () => number;
  /** Ends the waits of every operation, beside the signal that an operation takes itself. */
  signal?: AbortSignal;
  onRetry?: (attempt: {
    operation: StorageOperation;
    key: string;
    attempt: number;
    waitMs: number;
    error: unknown;
  }) => void;
}

/**
 * Repeats operations that failed with a transient error; any other error passes at once. Waits are exponential, capped,
 * with full jitter (Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).
 *
 * `put` with `ifAbsent` after a failure whose outcome is unknown: an object that holds exactly these bytes counts as this
 * caller's. A listing that breaks off starts again and leaves out what it has already told.
 */
export function withRetry(backend: StorageBackend, options: RetryOptions): StorageBackend {
  return new RetryStorage(backend, options);
}

class RetryStorage extends ForwardingStorage {
  readonly #backend: StorageBackend;
  readonly #options: RetryOptions;

  constructor(backend: StorageBackend, options: RetryOptions) {
    super(
      backend,
      (operation, key, run, signal) => retry(options, operation, key, run, signal),
      (prefix) => retryList(backend, options, prefix),
    );
    this.#backend = backend;
    this.#options = options;
  }

  override put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<boolean> {
    let attempt = 0;
    const once = async (): Promise<boolean> => {
      attempt++;
      const stored = await this.#backend.put(key, body, options);
      if (stored || attempt === 1) return stored;
      const found = await this.#backend.get(key, undefined, options.signal ? { signal: options.signal } : {});
      return Buffer.compare(found, body) === 0;
    };
    return retry(this.#options, 'put', key, once, options.signal);
  }
}

async function retry<T>(
  options: RetryOptions,
  operation: StorageOperation,
  key: string,
  run: () => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    throwIfCancelled(options.signal);
    try {
      return await run();
    } catch (error) {
      if (!isTransient(error) || attempt >= options.attempts) throw error;
      await pause(options, { operation, key, attempt, error }, signal);
    }
  }
}

async function* retryList(backend: StorageBackend, options: RetryOptions, prefix: string): AsyncGenerator<ObjectInfo> {
  const told = new Set<string>();
  for (let attempt = 1; ;) {
    throwIfCancelled(options.signal);
    try {
      for await (const info of backend.list(prefix)) {
        if (told.has(info.key)) continue;
        told.add(info.key);
        attempt = 1;
        yield info;
      }
      return;
    } catch (error) {
      if (!isTransient(error) || attempt >= options.attempts) throw error;
      await pause(options, { operation: 'list', key: prefix, attempt, error }, undefined);
      attempt++;
    }
  }
}

async function pause(
  options: RetryOptions,
  failure: { operation: StorageOperation; key: string; attempt: number; error: unknown },
  signal: AbortSignal | undefined,
): Promise<void> {
  const waitMs = options.random() * Math.min(options.maxMs, options.baseMs * 2 ** (failure.attempt - 1));
  options.onRetry?.({ ...failure, waitMs });
  const signals = [options.signal, signal].filter((s) => s !== undefined);
  const either = signals.length === 0 ? undefined : AbortSignal.any(signals);
  try {
    await options.clock.sleep(waitMs, either);
  } catch (error) {
    throwIfCancelled(either);
    throw error;
  }
}
