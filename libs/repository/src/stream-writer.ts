import { createHash } from 'node:crypto';
import {
  appendExtent,
  BLOB_KIND,
  Chunker,
  sha256,
  type Extent,
  type ExtentList,
  type Folder,
  type RepositoryKeys,
} from '@foodsave-backup/format';
import type { BlobWriter, Tally } from './blob-writer.ts';
import { saveExtentTree } from './extent-writer.ts';
import { SMALL_FILE_BYTES, SolidWriter } from './solid-writer.ts';

export interface SavedContent {
  size: number;
  sha256: Buffer;
  /** Resolves when the blobs that hold the content have their ids. */
  place: Promise<{ extents?: ExtentList; extentRoot?: Buffer }>;
}

/** Stores the contents of files that are byte streams: small ones together, large ones in content-defined chunks. */
export class StreamWriter {
  readonly #blobs: BlobWriter;
  readonly #folder: Folder;
  readonly #tally: Tally;
  readonly #chunker: Chunker;
  readonly #solid: SolidWriter;

  constructor(keys: RepositoryKeys, blobs: BlobWriter, folder: Folder, tally: Tally) {
    this.#blobs = blobs;
    this.#folder = folder;
    this.#tally = tally;
    this.#chunker = new Chunker(keys.chunkerKey);
    this.#solid = new SolidWriter(blobs, folder, tally);
  }

  /** Reads the stream to its end. `progress` is told the bytes of each piece. */
  async save(stream: AsyncIterable<Uint8Array>, progress: (bytes: number) => void): Promise<SavedContent> {
    const max = this.#chunker.maxBytes;
    // Twice the largest chunk: a cut is looked for in `max` bytes while the next piece is read behind them.
    let buffer: Buffer = Buffer.allocUnsafe(0);
    let start = 0;
    let end = 0;
    let size = 0;
    const hasher = createHash('sha256');
    const extents: Extent[] = [];
    for await (const piece of stream) {
      progress(piece.length);
      size += piece.length;
      if (end + piece.length > buffer.length) {
        const needed = end - start + piece.length;
        const grown = Buffer.allocUnsafe(Math.max(needed, Math.min(2 * max, Math.max(needed, buffer.length * 2))));
        buffer.copy(grown, 0, start, end);
        buffer = grown;
        end -= start;
        start = 0;
      }
      buffer.set(piece, end);
      end += piece.length;
      if (size <= SMALL_FILE_BYTES) continue;
      hasher.update(size - piece.length <= SMALL_FILE_BYTES ? buffer.subarray(start, end) : piece);
      while (end - start >= max) start += await this.#chunk(buffer.subarray(start, end), false, extents);
    }
    if (size <= SMALL_FILE_BYTES) return this.#saveSmall(Buffer.from(buffer.subarray(start, end)));
    while (end > start) start += await this.#chunk(buffer.subarray(start, end), true, extents);
    const place = heard(saveExtentTree(this.#blobs, this.#tally, { unit: 1, extents }, size));
    return { size, sha256: hasher.digest(), place };
  }

  #saveSmall(content: Buffer): SavedContent {
    const digest = sha256(content);
    const place =
      content.length === 0 ? Promise.resolve({}) : this.#solid.add(content, digest).then((extents) => ({ extents }));
    return { size: content.length, sha256: digest, place: heard(place) };
  }

  async #chunk(data: Buffer, last: boolean, extents: Extent[]): Promise<number> {
    const length = this.#chunker.cut(data, last);
    // The stream's buffer is written over while the blob is compressed: a copy of its own.
    const chunk = Buffer.from(data.subarray(0, length));
    const saved = await this.#blobs.save(this.#folder, BLOB_KIND.data, [chunk], this.#tally);
    appendExtent(extents, { blob: saved.id, offset: 0, length });
    return length;
  }

  /** Small files of known content need not be stored again: where they lie, from an earlier backup. */
  remember(digest: Buffer, extents: ExtentList): void {
    this.#solid.remember(digest, extents);
  }

  /** Stores what waits for more small files. Call it before awaiting the places. */
  async flush(): Promise<void> {
    await this.#solid.flush();
  }
}

/** A failure is seen by whoever awaits the place; until someone does, it must not count as unhandled. */
function heard<T>(place: Promise<T>): Promise<T> {
  place.catch(() => undefined);
  return place;
}
