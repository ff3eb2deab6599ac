import { throwIfCancelled, type RateLimit } from '@foodsave-backup/kernel';
import type { PutOptions, StorageBackend } from '../port.ts';
import { ForwardingStorage } from './forward.ts';

export interface UploadLimitOptions {
  limit: RateLimit;
  /** Of the run that uploads: ends every wait. */
  signal: AbortSignal;
  /** Keys of small objects that are sent at once and not counted: what others wait for. */
  exempt: (key: string) => boolean;
}

/**
 * Each `put` takes at least as long as its bytes do at the rate of `limit`, whichever of them come first and however many at
 * once. An object is sent in one piece at the beginning of its time, so that a fast medium gets a burst of one object (a pack
 * has 12 MiB at most); an attempt that a backend below repeats counts once.
 *
 * A `put` that has to wait throws CANCELLED, with nothing sent, as soon as the signal fires. One that is durable already
 * resolves then.
 */
export function withUploadLimit(backend: StorageBackend, options: UploadLimitOptions): StorageBackend {
  return new UploadLimitStorage(backend, options);
}

class UploadLimitStorage extends ForwardingStorage {
  readonly #backend: StorageBackend;
  readonly #options: UploadLimitOptions;

  constructor(backend: StorageBackend, options: UploadLimitOptions) {
    super(
      backend,
      (_operation, _key, run) => run(),
      (prefix) => backend.list(prefix),
    );
    this.#backend = backend;
    this.#options = options;
  }

  override async put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<boolean> {
    const { limit, exempt } = this.#options;
    if (exempt(key)) return this.#backend.put(key, body, options);
    const signal = options.signal ? AbortSignal.any([options.signal, this.#options.signal]) : this.#options.signal;
    throwIfCancelled(signal);
    const { from, until } = limit.take(body.length);
    await limit.reach(from, signal);
    const stored = await this.#backend.put(key, body, options);
    try {
      await limit.reach(until, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    return stored;
  }
}
