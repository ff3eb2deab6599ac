import { randomBytes } from 'node:crypto';
import { toBackupError } from '@foodsave-backup/kernel';
import {
  blobId,
  CODEC,
  PackBuilder,
  sha256,
  type BlobKind,
  type CompressedFrame,
  type Folder,
  type IndexedPack,
  type RepositoryKeys,
} from '@foodsave-backup/format';
import type { StorageBackend } from '@foodsave-backup/storage';
import type { BlobIndex } from './blob-index.ts';
import { BufferPool } from './buffer-pool.ts';
import { SMALL_FRAME, type Codecs } from './codec.ts';
import { packObjectKey } from './layout.ts';

/** Bytes of a pack after which it is closed. A backup has up to five of them in memory: two that grow, their nodes, two that are written. */
export const PACK_TARGET = 8 * 1024 * 1024;
/** Smaller packs stay open for the next component of their folder. Bytes. */
const PACK_MIN = 2 * 1024 * 1024;
/** Uncompressed bytes that may wait for compression at once: with `PACKS_WAITING_MAX` the bound on memory. */
const IN_FLIGHT_MAX = 8 * 1024 * 1024;
/** Full packs that may wait for the disk, each of up to 12 MiB. */
const PACKS_WAITING_MAX = 2;
/** A frame is kept raw unless compression saves at least one part in this many. */
const WORTH_IT = 50;
const SAMPLE_BYTES = 4096;

/** Counts what one component added. */
export interface Tally {
  /** Stored bytes of new blobs, as they lie in packs. */
  storedBytes: number;
}

export interface SaveOptions {
  /** Only for kinds whose id is not made of their frames (page hashes). */
  id?: Buffer;
  /** Called when the bytes of the frames are needed no more; not at all when the blob could not be stored. */
  done?: () => void;
}

export interface SavedBlob {
  id: Buffer;
  isNew: boolean;
}

interface HashedFrame {
  data: Uint8Array;
  length: number;
  hash: Buffer;
}

/**
 * Deduplicates, compresses, encrypts and packs blobs. `save` resolves as soon as the blob has its id and there is room;
 * the rest goes on in the background, and its failure is thrown by the next call and by `finish`.
 */
export class BlobWriter {
  readonly #keys: RepositoryKeys;
  readonly #storage: StorageBackend;
  readonly #index: BlobIndex;
  readonly #codecs: Codecs;
  readonly #scratch = Buffer.allocUnsafeSlow(3 * SAMPLE_BYTES + SMALL_FRAME);
  /** For the frames of blobs. */
  readonly buffers = new BufferPool();
  readonly #open = new Map<Folder, PackBuilder>();
  #written: IndexedPack[] = [];
  readonly #pending = new Map<string, true>();
  /** Bytes of blobs under way. */
  #inFlight = 0;
  /** Blobs that wait for room. */
  #entering = 0;
  /** Packs that were released and are not durable yet. */
  #closing = 0;
  /** Who waits for any of these to change. */
  readonly #waiting: (() => void)[] = [];
  #packsWaiting = 0;
  #failure: unknown;
  #puts: Promise<void> = Promise.resolve();

  constructor(storage: StorageBackend, keys: RepositoryKeys, index: BlobIndex, codecs: Codecs) {
    this.#storage = storage;
    this.#keys = keys;
    this.#index = index;
    this.#codecs = codecs;
  }

  /** Packs that are durable so far. */
  get writtenPacks(): readonly IndexedPack[] {
    return this.#written;
  }

  /** Packs of its own that are gone, or soon will be: what they held is stored again when it comes. `finish` first. */
  forget(isGone: (pack: IndexedPack) => boolean): void {
    for (const pack of this.#written.filter(isGone)) {
      for (const { id } of pack.blobs) this.#pending.delete(id.toString('latin1'));
    }
    this.#written = this.#written.filter((pack) => !isGone(pack));
  }

  /** Whether a blob is stored, or will be when `finish` resolves. */
  has(id: Uint8Array): boolean {
    return this.#index.has(id) || this.#pending.has(Buffer.from(id).toString('latin1'));
  }

  /** `frames`: the blob's bytes, cut by the caller; not to be touched before `done`. */
  async save(
    folder: Folder,
    kind: BlobKind,
    frames: readonly Uint8Array[],
    tally: Tally,
    { id, done }: SaveOptions = {},
  ): Promise<SavedBlob> {
    const bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
    const leave = await this.#enter(bytes);
    try {
      const hashed = await Promise.all(frames.map((data) => this.#hash(data)));
      const blob = id ?? blobId(this.#keys, kind, hashed);
      if (this.has(blob)) {
        leave();
        done?.();
        return { id: blob, isNew: false };
      }
      this.#pending.set(blob.toString('latin1'), true);
      // Not waited for: the next blob comes meanwhile.
      void this.#store(folder, kind, blob, hashed, { tally, done })
        .catch((error: unknown) => {
          this.#failure ??= error;
        })
        .finally(leave);
      return { id: blob, isNew: true };
    } catch (error) {
      leave();
      throw error;
    }
  }

  /**
   * Waits until so many bytes more may be under way, one blob at least, and no pack waits for the disk. Throws what went wrong
   * meanwhile; otherwise gives what is to be called once when they no longer are.
   */
  async #enter(bytes: number): Promise<() => void> {
    this.#entering++;
    try {
      this.#rethrow();
      while (
        this.#inFlight > 0 &&
        (this.#inFlight + bytes > IN_FLIGHT_MAX || this.#packsWaiting >= PACKS_WAITING_MAX)
      ) {
        await this.#change();
        this.#rethrow();
      }
      this.#inFlight += bytes;
    } finally {
      this.#entering--;
      this.#wake();
    }
    return () => {
      this.#inFlight -= bytes;
      this.#wake();
    };
  }

  /** Resolves when something has come or gone. */
  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #store(
    folder: Folder,
    kind: BlobKind,
    id: Buffer,
    frames: readonly HashedFrame[],
    { tally, done }: { tally: Tally; done: (() => void) | undefined },
  ): Promise<void> {
    const loans: Buffer[] = [];
    const compressed = await Promise.all(frames.map((frame) => this.#compress(frame, loans)));
    let builder = this.#open.get(folder);
    if (builder === undefined) {
      const { sealing } = this.#codecs;
      const parts = { memory: this.buffers, ...(sealing === undefined ? {} : { sealing }) };
      builder = new PackBuilder(this.#keys, folder, randomBytes(32), parts);
      this.#open.set(folder, builder);
    }
    const entry = builder.add(kind, id, compressed);
    for (const frame of entry.frames) tally.storedBytes += frame.stored;
    for (const loan of loans) this.buffers.give(loan);
    done?.();
    if (builder.size >= PACK_TARGET) await this.#close(folder, builder);
  }

  async #hash(data: Uint8Array): Promise<HashedFrame> {
    const hash = data.length < SMALL_FRAME ? sha256(data) : await this.#codecs.frames.sha256(data);
    return { data, length: data.length, hash };
  }

  /** `loans`: gets the buffer that the result lies in. */
  async #compress({ data, length, hash }: HashedFrame, loans: Buffer[]): Promise<CompressedFrame> {
    const raw = { length, hash, codec: CODEC.raw, data };
    // What would not be worth it does not fit.
    const most = length - Math.max(1, Math.ceil(length / WORTH_IT));
    if (length < SMALL_FRAME) {
      const size = this.#codecs.frames.compressNow(data, this.#scratch.subarray(0, most));
      if (size === undefined) return raw;
      return { length, hash, codec: CODEC.zstd, data: Buffer.from(this.#scratch.subarray(0, size)) };
    }
    if (this.#looksIncompressible(data)) return raw;
    const into = this.buffers.take(most);
    loans.push(into);
    const size = await this.#codecs.frames.compress(
      data,
      into,
      this.#hurries() ? this.#codecs.hurriedLevel : undefined,
    );
    return size === undefined ? raw : { length, hash, codec: CODEC.zstd, data: into.subarray(0, size) };
  }

  /** Somebody waits for room, as who compresses is behind whoever reads: in a first backup, seldom in one of a night. */
  #hurries(): boolean {
    return this.#entering > 0;
  }

  /** Incompressible data (photos, archives) is found out by three samples, so that zstd does not read all of it for nothing. */
  #looksIncompressible(frame: Uint8Array): boolean {
    const step = Math.floor((frame.length - SAMPLE_BYTES) / 2);
    const sample = this.#scratch.subarray(0, 3 * SAMPLE_BYTES);
    for (const i of [0, 1, 2]) sample.set(frame.subarray(i * step, i * step + SAMPLE_BYTES), i * SAMPLE_BYTES);
    const room = this.#scratch.subarray(sample.length, 2 * sample.length);
    const size = this.#codecs.frames.compressNow(sample, room, 1);
    return size === undefined || size > sample.length * 0.97;
  }

  async #close(folder: Folder, builder: PackBuilder): Promise<void> {
    this.#open.delete(folder);
    const pack = builder.finish();
    const size = pack.bytes.length;
    this.#packsWaiting++;
    const named = this.#codecs.frames.sha256(pack.bytes);
    const put = this.#puts
      .then(async () => {
        const hash = await named;
        await this.#storage.put(packObjectKey(folder, hash), pack.bytes);
        // Only then: a put that was given up may still be reading.
        this.buffers.give(pack.bytes);
        this.#written.push({ hash, folder, size, blobs: pack.blobs });
      })
      .finally(() => {
        this.#packsWaiting--;
      });
    this.#puts = put.catch(() => undefined);
    await put;
  }

  /**
   * Closes the pack of a folder when it holds enough to stand alone: of one that nobody adds to, the memory is of use elsewhere.
   * Does not wait; a failure is thrown by whoever asks next.
   */
  release(folder: Folder): void {
    const builder = this.#open.get(folder);
    if (builder === undefined || builder.size < PACK_MIN) return;
    this.#closing++;
    void this.#close(folder, builder)
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#closing--;
        this.#wake();
      });
  }

  /** Waits until every blob is durable in a pack. Throws the first failure of the background work. */
  async finish(): Promise<readonly IndexedPack[]> {
    while (this.#inFlight > 0 || this.#entering > 0 || this.#closing > 0) await this.#change();
    this.#rethrow();
    for (const [folder, builder] of [...this.#open]) await this.#close(folder, builder);
    return this.#written;
  }

  #rethrow(): void {
    if (this.#failure !== undefined) throw toBackupError(this.#failure);
  }
}
