import type { ByteRange, GetOptions, ObjectInfo, PutOptions, StorageBackend, StorageCapabilities } from '../port.ts';

export type StorageOperation = 'put' | 'get' | 'stat' | 'list' | 'delete';

/** What surrounds every operation that is one request; `list` with all keys at once. `signal` is the caller's, where the operation takes one. */
export type Around = <T>(
  operation: StorageOperation,
  key: string,
  run: () => Promise<T>,
  signal?: AbortSignal,
) => Promise<T>;

/** A backend that sends each operation of `inner` through `around`, and listings through `list`. */
export class ForwardingStorage implements StorageBackend {
  readonly #inner: StorageBackend;
  readonly #around: Around;
  readonly #list: (prefix: string) => AsyncIterable<ObjectInfo>;

  constructor(inner: StorageBackend, around: Around, list: (prefix: string) => AsyncIterable<ObjectInfo>) {
    this.#inner = inner;
    this.#around = around;
    this.#list = list;
  }

  get capabilities(): StorageCapabilities {
    return this.#inner.capabilities;
  }

  get location(): string {
    return this.#inner.location;
  }

  put(key: string, body: Uint8Array, options?: PutOptions): Promise<boolean> {
    return this.#around('put', key, () => this.#inner.put(key, body, options), options?.signal);
  }

  get(key: string, range?: ByteRange, options?: GetOptions): Promise<Uint8Array> {
    return this.#around('get', key, () => this.#inner.get(key, range, options), options?.signal);
  }

  stat(key: string): Promise<ObjectInfo | undefined> {
    return this.#around('stat', key, () => this.#inner.stat(key));
  }

  list(prefix: string): AsyncIterable<ObjectInfo> {
    return this.#list(prefix);
  }

  keys(prefix: string): Promise<string[]> {
    return this.#around('list', prefix, () => this.#inner.keys(prefix));
  }

  delete(key: string): Promise<void> {
    return this.#around('delete', key, () => this.#inner.delete(key));
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
