import { BackupError, toBackupError } from '@foodsave-backup/kernel';
import {
  blobLength,
  hasBytes,
  HEADER_BYTES,
  openFrame,
  packKey,
  salvageHeader,
  type BlobEntry,
  type RepositoryKeys,
} from '@foodsave-backup/format';
import type { StorageBackend } from '@foodsave-backup/storage';
import type { BlobIndex, BlobLocation, PackRef } from './blob-index.ts';
import { packObjectKey } from './layout.ts';

/** Decoded frames kept: enough for one frame of each of the blobs that a long history of a database spreads over. */
const CACHE_BYTES = 32 * 1024 * 1024;
const KEYS_CACHED = 4096;
const ROUNDS_MAX = 8;

/** Reads blobs or parts of them; every frame is authenticated, decompressed and compared with its hash. */
export class BlobReader {
  readonly #storage: StorageBackend;
  readonly #keys: RepositoryKeys;
  readonly #index: BlobIndex;
  readonly #frames = new Map<string, Uint8Array>();
  readonly #packKeys = new Map<string, Buffer | undefined>();
  #cached = 0;
  /** Object keys of packs that could not be read as they were written, also where another pack had the same blob. */
  readonly suspects = new Set<string>();
  readonly #refresh: (() => Promise<boolean>) | undefined;
  readonly #cacheBytes: number;
  #refreshing: Promise<unknown> = Promise.resolve();
  /** How often the index has changed. */
  #generation = 0;

  /** `refresh`: brings `index` up to date; false when there was nothing new. */
  /** `cacheBytes`: less for who reads a backup once, from its beginning to its end, beside much else that takes memory. */
  constructor(
    storage: StorageBackend,
    keys: RepositoryKeys,
    index: BlobIndex,
    { refresh, cacheBytes = CACHE_BYTES }: { refresh?: () => Promise<boolean>; cacheBytes?: number } = {},
  ) {
    this.#storage = storage;
    this.#keys = keys;
    this.#index = index;
    this.#refresh = refresh;
    this.#cacheBytes = cacheBytes;
  }

  /** The whole blob. */
  async read(id: Uint8Array): Promise<Uint8Array> {
    const generation = this.#generation;
    let known = this.#index.get(id);
    if (known === undefined && (await this.#hasChanged(generation))) known = this.#index.get(id);
    if (known === undefined) throw lost(id);
    return this.readRange(id, 0, blobLength(known.blob));
  }

  /** Bytes `[offset, offset + length)` of a blob, from any pack that holds it. Throws DATA_DAMAGED, naming the first pack. */
  async readRange(id: Uint8Array, offset: number, length: number): Promise<Uint8Array> {
    for (let round = 1; ; round++) {
      const generation = this.#generation;
      let failure: BackupError | undefined;
      for (const place of this.#index.all(id)) {
        try {
          return await this.#readFrom(place, offset, length);
        } catch (error) {
          const known = toBackupError(error);
          if (known.code !== 'DATA_DAMAGED') throw error;
          failure ??= known;
        }
      }
      // Bounded by how often others can replace the index while this is read.
      if (round > ROUNDS_MAX || !(await this.#hasChanged(generation))) throw failure ?? lost(id);
    }
  }

  /** Whether the index is another than it was at `generation`, after a look at the storage if need be. */
  async #hasChanged(generation: number): Promise<boolean> {
    const refresh = this.#refresh;
    if (refresh === undefined) return false;
    const look = this.#refreshing.then(async () => {
      if (this.#generation === generation && (await refresh())) this.#generation++;
    });
    this.#refreshing = look.catch(() => undefined);
    await look;
    return this.#generation !== generation;
  }

  async #readFrom({ pack, blob }: BlobLocation, offset: number, length: number): Promise<Uint8Array> {
    if (offset + length <= blobLength(blob) && !hasBytes(blob.frames, offset, offset + length)) {
      throw new BackupError('DATA_DAMAGED', 'A part of the backup was taken out of its pack, as no backup needed it');
    }
    const parts: Uint8Array[] = [];
    let at = 0;
    let needed: number | undefined;
    let last = 0;
    for (let i = 0; i < blob.frames.length; i++) {
      const size = blob.frames[i]?.length ?? 0;
      if (at + size > offset && at < offset + length) {
        needed ??= i;
        last = i;
      }
      at += size;
    }
    if (needed === undefined || offset + length > at) {
      throw new BackupError('DATA_DAMAGED', 'A part of the backup is shorter than its tree says');
    }
    await this.#load(pack, blob, needed, last);
    at = 0;
    for (let i = 0; i <= last; i++) {
      const size = blob.frames[i]?.length ?? 0;
      if (i >= needed) {
        const frame = await this.#frame(pack, blob, i);
        parts.push(frame.subarray(Math.max(0, offset - at), Math.min(size, offset + length - at)));
      }
      at += size;
    }
    return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
  }

  /** A frame that has lost something is not the same everywhere. */
  #cacheKey(pack: PackRef, blob: BlobEntry, frame: number): string {
    const place = blob.frames[frame]?.punched === undefined ? '' : pack.hash.toString('latin1');
    return `${blob.id.toString('latin1')}${frame}${place}`;
  }

  async #frame(pack: PackRef, blob: BlobEntry, i: number): Promise<Uint8Array> {
    const key = this.#cacheKey(pack, blob, i);
    let frame = this.#frames.get(key);
    if (frame === undefined) {
      await this.#load(pack, blob, i, i);
      frame = this.#frames.get(key);
    }
    if (frame === undefined) throw new BackupError('INTERNAL', 'A frame left the cache while it was read');
    this.#frames.delete(key);
    this.#frames.set(key, frame);
    return frame;
  }

  /** Loads the frames `first..last` that are not cached, with one read of the pack. */
  async #load(pack: PackRef, blob: BlobEntry, first: number, last: number): Promise<void> {
    let from = first;
    while (from <= last && this.#frames.has(this.#cacheKey(pack, blob, from))) from++;
    if (from > last) return;
    let start = blob.offset;
    for (let i = 0; i < from; i++) start += blob.frames[i]?.stored ?? 0;
    let length = 0;
    for (let i = from; i <= last; i++) length += blob.frames[i]?.stored ?? 0;
    const key = packObjectKey(pack.folder, pack.hash);
    try {
      const bytes = await this.#storage.get(key, { offset: start, length });
      const frameKey = await this.#keyOf(pack);
      let at = 0;
      for (let i = from; i <= last; i++) {
        const stored = blob.frames[i]?.stored ?? 0;
        this.#remember(this.#cacheKey(pack, blob, i), openFrame(frameKey, blob, i, bytes.subarray(at, at + stored)));
        at += stored;
      }
    } catch (error) {
      const cause = toBackupError(error);
      // Also a version that is too new: that of the repository is known, so that here it can only be a flipped bit.
      if (cause.code === 'CANCELLED') throw cause;
      this.suspects.add(key);
      throw new BackupError('DATA_DAMAGED', `Pack ${key} cannot be read: ${cause.message}`, {
        hint: 'Run "check --read-data" to see which backups and files are affected.',
        cause: error,
        details: { pack: key },
      });
    }
  }

  #remember(key: string, frame: Uint8Array): void {
    if (this.#frames.has(key)) return;
    this.#frames.set(key, frame);
    this.#cached += frame.length;
    for (const [oldest, bytes] of this.#frames) {
      if (this.#cached <= this.#cacheBytes || oldest === key) break;
      this.#frames.delete(oldest);
      this.#cached -= bytes.length;
    }
  }

  async #keyOf(pack: PackRef): Promise<Buffer | undefined> {
    if (!this.#keys.encrypted) return undefined;
    const name = pack.hash.toString('hex');
    let key = this.#packKeys.get(name);
    if (key === undefined) {
      const header = await this.#storage.get(packObjectKey(pack.folder, pack.hash), {
        offset: 0,
        length: HEADER_BYTES,
      });
      // Of the header only the salt matters to frames: with any other byte of it damaged, they can still be read.
      key = packKey(this.#keys, salvageHeader(this.#keys, header) ?? header);
      if (this.#packKeys.size >= KEYS_CACHED) this.#packKeys.clear();
      this.#packKeys.set(name, key);
    }
    return key;
  }
}

function lost(id: Uint8Array): BackupError {
  return new BackupError('DATA_DAMAGED', 'A part of the backup is missing from the repository', {
    hint: 'Run "check" to see what is affected.',
    details: { blob: Buffer.from(id).toString('hex') },
  });
}
