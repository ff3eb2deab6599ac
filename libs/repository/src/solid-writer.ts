import { BLOB_KIND, type ExtentList, type Folder } from '@foodsave-backup/format';
import type { BlobWriter, Tally } from './blob-writer.ts';

/** Files up to this size share blobs. */
export const SMALL_FILE_BYTES = 512 * 1024;
const SOLID_BYTES = 4 * 1024 * 1024;
const SOLID_FILES = 4096;
/** Small frames cost ratio, large ones cost reading time for one small file. */
const FRAME_BYTES = 1024 * 1024;
const REMEMBERED_MAX = 200_000;

interface Waiting {
  offset: number;
  length: number;
  resolve: (extents: ExtentList) => void;
  reject: (reason: unknown) => void;
}

/** Puts many small files into one blob, and stores equal ones once. */
export class SolidWriter {
  readonly #blobs: BlobWriter;
  readonly #folder: Folder;
  readonly #tally: Tally;
  readonly #known = new Map<string, Promise<ExtentList>>();
  /** What the next blob is collected in; undefined while there is nothing. */
  #content: Buffer | undefined;
  #waiting: Waiting[] = [];
  #bytes = 0;
  /** The blobs that are full and not accepted yet. */
  #flushing: Promise<void> = Promise.resolve();

  constructor(blobs: BlobWriter, folder: Folder, tally: Tally) {
    this.#blobs = blobs;
    this.#folder = folder;
    this.#tally = tally;
  }

  /** `content`: 1 to SMALL_FILE_BYTES bytes, which are copied. Resolves when its blob is full or flushed. */
  add(content: Uint8Array, sha256: Buffer): Promise<ExtentList> {
    const key = sha256.toString('latin1');
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#bytes + content.length > SOLID_BYTES || this.#waiting.length >= SOLID_FILES) void this.flush();
    const place = new Promise<ExtentList>((resolve, reject) => {
      this.#waiting.push({ offset: this.#bytes, length: content.length, resolve, reject });
    });
    // Whoever asked sees the failure; this branch only keeps it from being unhandled when nobody has asked yet.
    place.catch(() => undefined);
    this.#content ??= this.#blobs.buffers.take(SOLID_BYTES);
    this.#content.set(content, this.#bytes);
    this.#bytes += content.length;
    if (this.#known.size < REMEMBERED_MAX) this.#known.set(key, place);
    return place;
  }

  /**
   * Resolves when every full blob was accepted by the blob writer, which makes its callers wait while too much is under way.
   * To be awaited between files: else whoever reads faster than zstd compresses would fill the memory.
   */
  room(): Promise<void> {
    return this.#flushing;
  }

  remember(sha256: Buffer, extents: ExtentList): void {
    const key = sha256.toString('latin1');
    if (this.#known.size < REMEMBERED_MAX && !this.#known.has(key)) this.#known.set(key, Promise.resolve(extents));
  }

  /** Never rejects: whoever waits for a place sees why it failed. */
  flush(): Promise<void> {
    this.#flushing = Promise.all([this.#flushing, this.#flush()]).then(() => undefined);
    return this.#flushing;
  }

  async #flush(): Promise<void> {
    const waiting = this.#waiting;
    const whole = this.#content;
    if (whole === undefined) return;
    const { buffers } = this.#blobs;
    const content = whole.subarray(0, this.#bytes);
    this.#content = undefined;
    this.#waiting = [];
    this.#bytes = 0;
    const frames: Buffer[] = [];
    for (let at = 0; at < content.length; at += FRAME_BYTES) frames.push(content.subarray(at, at + FRAME_BYTES));
    try {
      const done = (): void => {
        buffers.give(whole);
      };
      const { id } = await this.#blobs.save(this.#folder, BLOB_KIND.data, frames, this.#tally, { done });
      for (const file of waiting) {
        file.resolve({ unit: 1, extents: [{ blob: id, offset: file.offset, length: file.length }] });
      }
    } catch (error) {
      for (const file of waiting) file.reject(error);
    }
  }
}
