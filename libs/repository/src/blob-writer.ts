import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdCompressSync } from 'node:zlib';
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
import { packObjectKey } from './layout.ts';

const compressAsync = promisify(zstdCompress);

/** Bytes of a pack after which it is closed. */
export const PACK_TARGET = 16 * 1024 * 1024;
/** Uncompressed bytes that may wait for compression at once: with `PACKS_WAITING_MAX` the bound on memory. */
const IN_FLIGHT_MAX = 16 * 1024 * 1024;
/** Full packs that may wait for the disk, each of up to 20 MiB. */
const PACKS_WAITING_MAX = 2;
/** A frame is kept raw unless compression saves at least one part in this many. */
const WORTH_IT = 50;
const SAMPLE_BYTES = 4096;

/** ZSTD_COMPRESSBOUND of zstd.h: the most bytes that `length` bytes become. */
function compressBound(length: number): number {
  return length + (length >> 8) + 1024;
}

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

/** Incompressible data (photos, archives) is found out by three samples, so that zstd does not read all of it for nothing. */
function looksIncompressible(frame: Uint8Array): boolean {
  if (frame.length < 8 * SAMPLE_BYTES) return false;
  const step = Math.floor((frame.length - SAMPLE_BYTES) / 2);
  const sample = Buffer.concat([0, step, 2 * step].map((at) => frame.subarray(at, at + SAMPLE_BYTES)));
  const packed = zstdCompressSync(sample, { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
  return packed.length > sample.length * 0.97;
}

/**
 * Deduplicates, compresses, encrypts and packs blobs. `save` resolves as soon as the blob has its id and there is room;
 * the rest goes on in the background, and its failure is thrown by the next call and by `finish`.
 */
export class BlobWriter {
  readonly #keys: RepositoryKeys;
  readonly #storage: StorageBackend;
  readonly #index: BlobIndex;
  readonly #level: number;
  /** For the frames of blobs. */
  readonly buffers = new BufferPool();
  readonly #open = new Map<Folder, PackBuilder>();
  #written: IndexedPack[] = [];
  readonly #pending = new Map<string, true>();
  readonly #tasks = new Set<Promise<void>>();
  #inFlight = 0;
  #packsWaiting = 0;
  #failure: unknown;
  #puts: Promise<void> = Promise.resolve();

  constructor(storage: StorageBackend, keys: RepositoryKeys, index: BlobIndex, compressionLevel: number) {
    this.#storage = storage;
    this.#keys = keys;
    this.#index = index;
    this.#level = compressionLevel;
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
    this.#rethrow();
    const hashed = frames.map((data) => ({ data, length: data.length, hash: sha256(data) }));
    const blob = id ?? blobId(this.#keys, kind, hashed);
    if (this.has(blob)) {
      done?.();
      return { id: blob, isNew: false };
    }
    this.#pending.set(blob.toString('latin1'), true);
    const bytes = hashed.reduce((sum, f) => sum + f.length, 0);
    while (this.#inFlight > 0 && (this.#inFlight + bytes > IN_FLIGHT_MAX || this.#packsWaiting >= PACKS_WAITING_MAX)) {
      await Promise.race(this.#tasks);
      this.#rethrow();
    }
    this.#inFlight += bytes;
    const task = this.#store(folder, kind, blob, hashed, { tally, done })
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#inFlight -= bytes;
        this.#tasks.delete(task);
      });
    this.#tasks.add(task);
    return { id: blob, isNew: true };
  }

  async #store(
    folder: Folder,
    kind: BlobKind,
    id: Buffer,
    frames: { data: Uint8Array; length: number; hash: Buffer }[],
    { tally, done }: { tally: Tally; done: (() => void) | undefined },
  ): Promise<void> {
    const compressed: CompressedFrame[] = await Promise.all(
      frames.map(async ({ data, length, hash }) => {
        if (looksIncompressible(data)) return { length, hash, codec: CODEC.raw, data };
        const packed = await compressAsync(data, {
          // By default zlib goes to the thread pool and back for each 16 KiB. What is not filled stays allocated for a while.
          chunkSize: Math.max(64 * 1024, compressBound(length) >> 2),
          params: { [constants.ZSTD_c_compressionLevel]: this.#level },
        });
        return packed.length + length / WORTH_IT < length
          ? { length, hash, codec: CODEC.zstd, data: packed }
          : { length, hash, codec: CODEC.raw, data };
      }),
    );
    let builder = this.#open.get(folder);
    if (builder === undefined) {
      builder = new PackBuilder(this.#keys, folder, randomBytes(32), this.buffers);
      this.#open.set(folder, builder);
    }
    const entry = builder.add(kind, id, compressed);
    for (const frame of entry.frames) tally.storedBytes += frame.stored;
    done?.();
    if (builder.size >= PACK_TARGET) await this.#close(folder, builder);
  }

  async #close(folder: Folder, builder: PackBuilder): Promise<void> {
    this.#open.delete(folder);
    const pack = builder.finish();
    const size = pack.bytes.length;
    this.#packsWaiting++;
    const put = this.#puts
      .then(async () => {
        await this.#storage.put(packObjectKey(folder, pack.hash), pack.bytes);
        // Only then: a put that was given up may still be reading.
        this.buffers.give(pack.bytes);
        this.#written.push({ hash: pack.hash, folder, size, blobs: pack.blobs });
      })
      .finally(() => {
        this.#packsWaiting--;
      });
    this.#puts = put.catch(() => undefined);
    await put;
  }

  /** Waits until every blob is durable in a pack. Throws the first failure of the background work. */
  async finish(): Promise<readonly IndexedPack[]> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    this.#rethrow();
    for (const [folder, builder] of [...this.#open]) await this.#close(folder, builder);
    return this.#written;
  }

  #rethrow(): void {
    if (this.#failure !== undefined) throw toBackupError(this.#failure);
  }
}
