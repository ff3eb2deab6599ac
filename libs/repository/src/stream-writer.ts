import { BlockHash, isHole, WholeHash, type Piece } from '@foodsave-backup/kernel';
import { BLOB_KIND, Chunker, sha256, type ExtentList, type Folder, type RepositoryKeys } from '@foodsave-backup/format';
import type { BlobWriter, SavedBlob, Tally } from './blob-writer.ts';
import { ExpectedChunks } from './expected-chunks.ts';
import type { ExtentLeaf } from './extent-reader.ts';
import { saveExtentTree } from './extent-writer.ts';
import { SMALL_FILE_BYTES, SolidWriter } from './solid-writer.ts';
import { Placement, StreamBuffer } from './stream-buffer.ts';

/** Chunks of a stream that may wait for their ids while the next one is cut. */
const CHUNKS_AHEAD = 3;

export interface SavedContent {
  size: number;
  /** One of the two. */
  sha256?: Buffer;
  blockSha256?: Buffer;
  /** Absent for none. */
  holeBytes?: number;
  /** Resolves when the blobs that hold the content have their ids. */
  place: Promise<{ extents?: ExtentList; extentRoot?: Buffer }>;
}

/** Stores the contents of files that are byte streams: small ones together, large ones in content-defined chunks. */
export class StreamWriter {
  readonly #keys: RepositoryKeys;
  readonly #blobs: BlobWriter;
  readonly #folder: Folder;
  readonly #tally: Tally;
  readonly #chunker: Chunker;
  readonly #solid: SolidWriter;
  readonly #buffer: StreamBuffer;

  constructor(keys: RepositoryKeys, blobs: BlobWriter, folder: Folder, tally: Tally) {
    this.#keys = keys;
    this.#blobs = blobs;
    this.#folder = folder;
    this.#tally = tally;
    this.#chunker = new Chunker(keys.chunkerKey);
    this.#solid = new SolidWriter(blobs, folder, tally);
    this.#buffer = new StreamBuffer(this.#chunker.maxBytes);
  }

  /**
   * Reads the stream to its end, one stream at a time. `progress` is told the bytes of each piece, holes included. `before`: where
   * the content lay that the newest backup has in its place.
   */
  async save(
    stream: AsyncIterable<Piece>,
    progress: (bytes: number) => void,
    { byBlocks = false, before }: { byBlocks?: boolean; before?: AsyncIterable<ExtentLeaf> } = {},
  ): Promise<SavedContent> {
    const buffer = this.#buffer;
    buffer.clear();
    const placement = new Placement();
    const chunks = new ChunksUnderWay(placement);
    const expected = before && new ExpectedChunks(this.#keys, before);
    const cut = (last: boolean): Promise<void> => this.#chunk(buffer, last, chunks, expected);
    const hash = byBlocks ? new BlockHash() : new WholeHash();
    let size = 0;
    // A small file without holes is hashed in one go.
    let large = byBlocks;
    for await (const piece of stream) {
      const length = isHole(piece) ? piece.hole : piece.length;
      progress(length);
      size += length;
      if (!large && (isHole(piece) || size > SMALL_FILE_BYTES)) {
        large = true;
        hash.update(buffer.view());
      }
      if (isHole(piece)) {
        placement.hole(length);
        hash.zeros(length);
        continue;
      }
      buffer.append(piece);
      placement.data(length);
      if (!large) continue;
      hash.update(piece);
      while (buffer.length >= this.#chunker.maxBytes) await cut(false);
    }
    if (!large) {
      const saved = this.saveSmall(buffer.view());
      await this.room();
      return saved;
    }
    while (buffer.length > 0) await cut(true);
    await chunks.finish();
    const extents = placement.finish();
    const place = heard(saveExtentTree(this.#blobs, this.#tally, { unit: 1, extents }, size));
    const digest = byBlocks ? { blockSha256: hash.digest() } : { sha256: hash.digest() };
    const { holeBytes } = placement;
    return { size, ...digest, ...(holeBytes === 0 ? {} : { holeBytes }), place };
  }

  /** `content`: at most `SMALL_FILE_BYTES`, which are copied. To be followed by `room`. */
  saveSmall(content: Uint8Array): SavedContent {
    const digest = sha256(content);
    const place =
      content.length === 0 ? Promise.resolve({}) : this.#solid.add(content, digest).then((extents) => ({ extents }));
    return { size: content.length, sha256: digest, place: heard(place) };
  }

  /** Resolves when more may come. */
  room(): Promise<void> {
    return this.#solid.room();
  }

  async #chunk(
    buffer: StreamBuffer,
    last: boolean,
    chunks: ChunksUnderWay,
    expected: ExpectedChunks | undefined,
  ): Promise<void> {
    const data = buffer.view();
    const known = await expected?.next(data, last);
    if (known !== undefined && this.#blobs.has(known.id)) {
      buffer.drop(known.length);
      await chunks.add(Promise.resolve({ id: known.id, isNew: false }), known.length);
      return;
    }
    const length = this.#chunker.cut(data, last);
    // The stream's buffer is written over while the blob is hashed and compressed: a copy of its own.
    const { buffers } = this.#blobs;
    const chunk = buffers.take(length);
    data.copy(chunk, 0, 0, length);
    buffer.drop(length);
    const done = (): void => {
      buffers.give(chunk);
    };
    const saved = this.#blobs.save(this.#folder, BLOB_KIND.data, [chunk], this.#tally, { done });
    await chunks.add(saved, length);
    if (expected?.isWorthLooking() === true) await expected.found((await saved).id, chunks.bytes);
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

/** Chunks of one stream that have no id yet: the next ones are read and cut meanwhile. */
class ChunksUnderWay {
  readonly #placement: Placement;
  readonly #waiting: { saved: Promise<SavedBlob>; length: number }[] = [];
  /** Of all chunks so far. */
  bytes = 0;

  constructor(placement: Placement) {
    this.#placement = placement;
  }

  async add(saved: Promise<SavedBlob>, length: number): Promise<void> {
    this.bytes += length;
    this.#waiting.push({ saved: heard(saved), length });
    while (this.#waiting.length > CHUNKS_AHEAD) await this.#next();
  }

  async finish(): Promise<void> {
    while (this.#waiting.length > 0) await this.#next();
  }

  async #next(): Promise<void> {
    const [first] = this.#waiting;
    if (first === undefined) return;
    const { id } = await first.saved;
    this.#waiting.shift();
    this.#placement.chunk(id, first.length);
  }
}

/** A failure is seen by whoever awaits the place; until someone does, it must not count as unhandled. */
function heard<T>(place: Promise<T>): Promise<T> {
  place.catch(() => undefined);
  return place;
}
