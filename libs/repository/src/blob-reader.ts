import { BackupError, toBackupError } from '@foodsave-backup/kernel';
import {
  blobLength,
  hasBytes,
  HEADER_BYTES,
  packKey,
  salvageHeader,
  type BlobEntry,
  type RepositoryKeys,
} from '@foodsave-backup/format';
import type { StorageBackend } from '@foodsave-backup/storage';
import { FrameCache, type HeldFrame } from './frame-cache.ts';
import type { FrameDecoder } from './frame-decoder.ts';
import { loadDecoder } from './load-decoder.ts';
import type { BlobIndex, BlobLocation, PackRef } from './blob-index.ts';
import { packObjectKey } from './layout.ts';

/** Decoded frames kept: enough for one frame of each of the blobs that a long history of a database spreads over. */
const CACHE_BYTES = 32 * 1024 * 1024;
/** Decoded bytes that are loaded ahead of who reads. */
const AHEAD_BYTES = 8 * 1024 * 1024;
const KEYS_CACHED = 4096;
const ROUNDS_MAX = 8;

/** Bytes of a blob that lie in one or more frames, for as long as `release` was not called. */
export interface Borrowed {
  parts: Uint8Array[];
  /** To be called once. The memory of the parts is used again afterwards. */
  release: () => void;
}

export interface ReaderOptions {
  /** Brings the index up to date; false when there was nothing new. */
  refresh?: () => Promise<boolean>;
  /** Less for who reads a backup once, from its beginning to its end, beside much else that takes memory. */
  cacheBytes?: number;
  /** Default: the fastest that can be loaded here. */
  decoder?: FrameDecoder;
}

/** Reads blobs or parts of them; every frame is authenticated, decompressed and compared with its hash. */
export class BlobReader {
  readonly #storage: StorageBackend;
  readonly #keys: RepositoryKeys;
  readonly #index: BlobIndex;
  readonly #frames: FrameCache;
  readonly #packKeys = new Map<string, Promise<Buffer>>();
  /** Object keys of packs that could not be read as they were written, also where another pack had the same blob. */
  readonly suspects = new Set<string>();
  /** Bytes that are worth to be asked for ahead: what `ahead` loads must not have left the cache when it is read. */
  readonly aheadBytes: number;
  readonly #refresh: (() => Promise<boolean>) | undefined;
  #decoder: FrameDecoder | undefined;
  #refreshing: Promise<unknown> = Promise.resolve();
  /** How often the index has changed. */
  #generation = 0;

  constructor(
    storage: StorageBackend,
    keys: RepositoryKeys,
    index: BlobIndex,
    { refresh, cacheBytes = CACHE_BYTES, decoder }: ReaderOptions = {},
  ) {
    this.#storage = storage;
    this.#keys = keys;
    this.#index = index;
    this.#refresh = refresh;
    this.#decoder = decoder;
    this.#frames = new FrameCache(cacheBytes, (bytes) => this.#decoder?.give(bytes));
    this.aheadBytes = Math.min(AHEAD_BYTES, cacheBytes >> 1);
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
    const frames = await this.#held(id, offset, length);
    const parts = frames.map(({ view }) => view);
    const [only] = frames;
    if (frames.length === 1 && only !== undefined) only.frame.kept = true;
    const bytes = parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
    this.#release(frames);
    return bytes;
  }

  /** The same bytes, to be looked at for a while only: their memory is used again. */
  async borrow(id: Uint8Array, offset: number, length: number): Promise<Borrowed> {
    const frames = await this.#held(id, offset, length);
    return {
      parts: frames.map(({ view }) => view),
      release: () => {
        this.#release(frames);
      },
    };
  }

  /** Begins to load what will soon be read. What fails is not told here but to who reads it. */
  ahead(id: Uint8Array, offset: number, length: number): void {
    const place = this.#index.get(id);
    if (place === undefined) return;
    const { blob } = place;
    const range = framesOf(blob, offset, length);
    if (range !== undefined && hasBytes(blob.frames, offset, offset + length)) this.#start(place, range, 0);
  }

  async #held(id: Uint8Array, offset: number, length: number): Promise<View[]> {
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

  async #readFrom(place: BlobLocation, offset: number, length: number): Promise<View[]> {
    const { blob } = place;
    if (offset + length <= blobLength(blob) && !hasBytes(blob.frames, offset, offset + length)) {
      throw new BackupError('DATA_DAMAGED', 'A part of the backup was taken out of its pack, as no backup needed it');
    }
    const range = framesOf(blob, offset, length);
    if (range === undefined) {
      throw new BackupError('DATA_DAMAGED', 'A part of the backup is shorter than its tree says');
    }
    const frames = await this.#hold(place, range);
    let at = range.start;
    return frames.map((frame) => {
      const view = (frame.bytes as Uint8Array).subarray(
        Math.max(0, offset - at),
        Math.min(frame.length, offset + length - at),
      );
      at += frame.length;
      return { frame, view };
    });
  }

  /** The open frames of a range; each has one reader more. */
  async #hold(place: BlobLocation, range: FrameRange): Promise<HeldFrame[]> {
    for (;;) {
      const { frames, joined } = this.#start(place, range, 1);
      const results = await Promise.allSettled(frames.map((frame) => frame.ready));
      const failed = results.find((result) => result.status === 'rejected');
      if (failed === undefined) return frames;
      for (const frame of frames) this.#leave(frame);
      // Who had asked before may have asked for more, of which something else was damaged.
      if (!joined) throw failed.reason;
    }
  }

  /**
   * The frames of a range, with so many `readers` more. Those that are not cached are being loaded, each run of them with one
   * read of the pack. `joined`: for somebody else, too.
   */
  #start(place: BlobLocation, { first, last }: FrameRange, readers: number): { frames: HeldFrame[]; joined: boolean } {
    const { pack, blob } = place;
    const frames: HeldFrame[] = [];
    let joined = false;
    for (let i = first; i <= last; i++) {
      const known = this.#frames.get(cacheKey(pack, blob, i));
      if (known !== undefined) {
        joined ||= known.bytes === undefined;
        known.readers += readers;
        frames.push(known);
        continue;
      }
      let end = i;
      while (end < last && !this.#frames.has(cacheKey(pack, blob, end + 1))) end++;
      frames.push(...this.#load(place, { first: i, last: end }, readers));
      i = end;
    }
    return { frames, joined };
  }

  #load({ pack, blob }: BlobLocation, { first, last }: Omit<FrameRange, 'start'>, readers: number): HeldFrame[] {
    let start = blob.offset;
    for (let i = 0; i < first; i++) start += blob.frames[i]?.stored ?? 0;
    let length = 0;
    for (let i = first; i <= last; i++) length += blob.frames[i]?.stored ?? 0;
    const loading = this.#stored(pack, start, length);
    const frames: HeldFrame[] = [];
    let at = 0;
    for (let i = first; i <= last; i++) {
      const { stored = 0, length: size = 0 } = blob.frames[i] ?? {};
      const from = at;
      at += stored;
      const frame: HeldFrame = {
        ...{ key: cacheKey(pack, blob, i), length: size, ready: Promise.resolve() },
        ...{ readers, kept: false, cached: true },
      };
      frame.ready = loading
        .then(async ({ bytes, key, decoder }) => {
          frame.bytes = await decoder.open(key, blob, i, bytes.subarray(from, from + stored));
          this.#frames.tidy(frame);
        })
        .catch((error: unknown) => {
          this.#frames.remove(frame);
          throw this.#unreadable(pack, error);
        });
      // Whoever waits for it is told; of what was asked for ahead, nobody may.
      frame.ready.catch(() => undefined);
      frames.push(frame);
    }
    for (const frame of frames) this.#frames.add(frame);
    void Promise.allSettled(frames.map((frame) => frame.ready)).then(async () => {
      // Nothing is given back of a read that failed.
      const read = await loading.catch(() => undefined);
      if (read !== undefined) read.decoder.give(read.memory);
    });
    return frames;
  }

  /** `memory`: to be given back when the bytes are needed no more. */
  async #stored(
    pack: PackRef,
    offset: number,
    length: number,
  ): Promise<{ bytes: Uint8Array; key: Buffer | undefined; decoder: FrameDecoder; memory: Uint8Array }> {
    const decoder = (this.#decoder ??= await loadDecoder());
    const memory = decoder.take(length);
    const object = packObjectKey(pack.folder, pack.hash);
    const [bytes, key] = await Promise.all([
      this.#storage.get(object, { offset, length }, { into: memory }),
      this.#keyOf(pack),
    ]);
    return { bytes, key, decoder, memory };
  }

  #unreadable(pack: PackRef, error: unknown): BackupError {
    const cause = toBackupError(error);
    // Also a version that is too new: that of the repository is known, so that here it can only be a flipped bit.
    if (cause.code === 'CANCELLED') return cause;
    const key = packObjectKey(pack.folder, pack.hash);
    this.suspects.add(key);
    return new BackupError('DATA_DAMAGED', `Pack ${key} cannot be read: ${cause.message}`, {
      hint: 'Run "check --read-data" to see which backups and files are affected.',
      cause: error,
      details: { pack: key },
    });
  }

  #release(views: readonly View[]): void {
    for (const { frame } of views) this.#leave(frame);
  }

  #leave(frame: HeldFrame): void {
    frame.readers--;
    this.#frames.tidy(frame);
  }

  async #keyOf(pack: PackRef): Promise<Buffer | undefined> {
    if (!this.#keys.encrypted) return undefined;
    const name = pack.hash.toString('hex');
    let key = this.#packKeys.get(name);
    if (key === undefined) {
      key = this.#readKey(pack);
      if (this.#packKeys.size >= KEYS_CACHED) this.#packKeys.clear();
      this.#packKeys.set(name, key);
      key.catch(() => this.#packKeys.delete(name));
    }
    return key;
  }

  async #readKey(pack: PackRef): Promise<Buffer> {
    const header = await this.#storage.get(packObjectKey(pack.folder, pack.hash), { offset: 0, length: HEADER_BYTES });
    // Of the header only the salt matters to frames: with any other byte of it damaged, they can still be read.
    return packKey(this.#keys, salvageHeader(this.#keys, header) ?? header) as Buffer;
  }
}

interface View {
  frame: HeldFrame;
  view: Uint8Array;
}

/** Frames `first..last` of a blob, of which the first begins at byte `start`. */
interface FrameRange {
  first: number;
  last: number;
  start: number;
}

/** The frames that hold bytes `[offset, offset + length)` of a blob; undefined when it ends before, or nothing is asked for. */
function framesOf(blob: BlobEntry, offset: number, length: number): FrameRange | undefined {
  let range: FrameRange | undefined;
  let at = 0;
  for (const [i, { length: size }] of blob.frames.entries()) {
    if (at + size > offset && at < offset + length) {
      range ??= { first: i, last: i, start: at };
      range.last = i;
    }
    at += size;
    if (at >= offset + length) return range;
  }
  return undefined;
}

/** A frame that has lost something is not the same everywhere. */
function cacheKey(pack: PackRef, blob: BlobEntry, frame: number): string {
  const place = blob.frames[frame]?.punched === undefined ? '' : pack.hash.toString('latin1');
  return `${blob.id.toString('latin1')}${frame}${place}`;
}

function lost(id: Uint8Array): BackupError {
  return new BackupError('DATA_DAMAGED', 'A part of the backup is missing from the repository', {
    hint: 'Run "check" to see what is affected.',
    details: { blob: Buffer.from(id).toString('hex') },
  });
}
