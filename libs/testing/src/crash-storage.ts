import { BackupError } from '@foodsave-backup/kernel';
import { MemoryStorage } from '@foodsave-backup/storage';
import type { ByteRange, ObjectInfo, PutOptions, StorageBackend, StorageCapabilities } from '@foodsave-backup/storage';

export interface CrashPlan {
  /** The mutating operation (put or delete) during which the power goes, counted from 1; 0 or absent: never. */
  crashAt?: number;
  /** What became of that operation: nothing of it, or all of it. Its caller learns neither. Default `lost`. */
  outcome?: 'lost' | 'done';
  /** What is on the medium at the start; it is copied. */
  from?: MemoryStorage;
}

/**
 * A medium that loses power. Since a put or delete is durable when it resolves, a crash leaves every operation that
 * resolved, none that did not begin, and the one in progress wholly or not at all. Afterwards every operation rejects;
 * `survivors()` is the medium after the restart.
 */
export class CrashStorage implements StorageBackend {
  readonly location = 'crash storage';
  readonly #disk: MemoryStorage;
  readonly #crashAt: number;
  readonly #outcome: 'lost' | 'done';
  #mutations = 0;
  #crashed = false;

  constructor(plan: CrashPlan = {}) {
    this.#disk = plan.from?.clone() ?? new MemoryStorage();
    this.#crashAt = plan.crashAt ?? 0;
    this.#outcome = plan.outcome ?? 'lost';
  }

  get capabilities(): StorageCapabilities {
    return this.#disk.capabilities;
  }

  /** Mutating operations that began. A run without a crash tells how many points of crash there are. */
  get mutations(): number {
    return this.#mutations;
  }

  get crashed(): boolean {
    return this.#crashed;
  }

  /** Takes the power away now, between two operations. */
  crash(): void {
    this.#crashed = true;
  }

  /** A fresh storage with what is durable at this moment. */
  survivors(): MemoryStorage {
    return this.#disk.clone();
  }

  put(key: string, body: Uint8Array, options?: PutOptions): Promise<boolean> {
    return this.#mutate((disk) => disk.put(key, body, options));
  }

  delete(key: string): Promise<void> {
    return this.#mutate((disk) => disk.delete(key));
  }

  get(key: string, range?: ByteRange, options?: { signal?: AbortSignal }): Promise<Uint8Array> {
    return this.#read(() => this.#disk.get(key, range, options));
  }

  stat(key: string): Promise<ObjectInfo | undefined> {
    return this.#read(() => this.#disk.stat(key));
  }

  keys(prefix: string): Promise<string[]> {
    return this.#read(() => this.#disk.keys(prefix));
  }

  async *list(prefix: string): AsyncGenerator<ObjectInfo> {
    this.#assertPower();
    for await (const info of this.#disk.list(prefix)) {
      this.#assertPower();
      yield info;
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #mutate<T>(run: (disk: MemoryStorage) => Promise<T>): Promise<T> {
    this.#assertPower();
    this.#mutations++;
    if (this.#mutations === this.#crashAt) {
      this.#crashed = true;
      if (this.#outcome === 'done') await run(this.#disk);
      throw powerLost();
    }
    const result = await run(this.#disk);
    // In flight beside the one that crashed: it happened, but nobody heard.
    this.#assertPower();
    return result;
  }

  async #read<T>(run: () => Promise<T>): Promise<T> {
    this.#assertPower();
    const result = await run();
    this.#assertPower();
    return result;
  }

  #assertPower(): void {
    if (this.#crashed) throw powerLost();
  }
}

function powerLost(): BackupError {
  return new BackupError('IO_ERROR', 'The power is gone', { details: { crashed: true } });
}
