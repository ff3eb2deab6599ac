import type { Clock } from '@foodsave-backup/kernel';
import { systemClock, throwIfCancelled } from '@foodsave-backup/kernel';
import { notFound } from './errors.ts';
import { assertBodySize, assertKey, assertPrefix, resolveRange } from './keys.ts';
import type { ByteRange, GetOptions, ObjectInfo, PutOptions, StorageBackend, StorageCapabilities } from './port.ts';

interface StoredObject {
  readonly bytes: Uint8Array;
  readonly modifiedAt: number;
}

/** Objects in this process's memory: the reference for what a backend does, for tests and drills. */
export class MemoryStorage implements StorageBackend {
  readonly capabilities: StorageCapabilities = { atomicIfAbsent: true, consistentList: true, localToMachine: true };
  readonly location = 'memory';
  readonly #objects: Map<string, StoredObject>;
  readonly #clock: Clock;

  constructor(options: { clock?: Clock; from?: MemoryStorage } = {}) {
    const { from } = options;
    this.#clock = options.clock ?? (from ? from.#clock : systemClock);
    this.#objects = new Map(from ? from.#objects : []);
  }

  /** An independent storage with the same objects. */
  clone(): MemoryStorage {
    return new MemoryStorage({ from: this });
  }

  /** Objects held. */
  get size(): number {
    return this.#objects.size;
  }

  async put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<boolean> {
    assertKey(key);
    assertBodySize(key, body.length);
    throwIfCancelled(options.signal);
    const bytes = new Uint8Array(body);
    await Promise.resolve();
    if (options.ifAbsent === true && this.#objects.has(key)) return false;
    this.#objects.set(key, { bytes, modifiedAt: this.#clock.now() });
    return true;
  }

  async get(key: string, range?: ByteRange, options: GetOptions = {}): Promise<Uint8Array> {
    assertKey(key);
    throwIfCancelled(options.signal);
    await Promise.resolve();
    const object = this.#objects.get(key);
    if (!object) throw notFound(key, this.location);
    const { offset, length } = resolveRange(key, object.bytes.length, range);
    return object.bytes.slice(offset, offset + length);
  }

  async stat(key: string): Promise<ObjectInfo | undefined> {
    assertKey(key);
    await Promise.resolve();
    const object = this.#objects.get(key);
    return object && { key, size: object.bytes.length, modifiedAt: object.modifiedAt };
  }

  async keys(prefix: string): Promise<string[]> {
    assertPrefix(prefix);
    await Promise.resolve();
    return [...this.#objects.keys()].filter((key) => key.startsWith(prefix) && !key.includes('/', prefix.length));
  }

  async *list(prefix: string): AsyncGenerator<ObjectInfo> {
    for (const key of await this.keys(prefix)) {
      const object = this.#objects.get(key);
      await Promise.resolve();
      if (object !== undefined) yield { key, size: object.bytes.length, modifiedAt: object.modifiedAt };
    }
  }

  async delete(key: string): Promise<void> {
    assertKey(key);
    await Promise.resolve();
    this.#objects.delete(key);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
