import { BackupError, bytesOf, type Piece } from '@foodsave-backup/kernel';
import { decodeExtentNode, LIMITS, malformed, type ExtentList, type FileEntry } from '@foodsave-backup/format';
import type { BlobReader } from './blob-reader.ts';

/** A leaf of a file's extents, with the id of its node when it has one of its own. */
export interface ExtentLeaf {
  id?: Buffer;
  list: ExtentList;
}

/** The leaves of a file's extents, in order. */
export async function* extentLeaves(reader: BlobReader, entry: FileEntry): AsyncGenerator<ExtentLeaf> {
  if (entry.extents !== undefined) yield { list: entry.extents };
  else if (entry.extentRoot !== undefined) yield* walk(reader, entry.extentRoot, LIMITS.nodeLevels);
}

async function* walk(reader: BlobReader, id: Buffer, maxLevel: number): AsyncGenerator<ExtentLeaf> {
  const node = decodeExtentNode(await reader.read(id), maxLevel);
  if ('list' in node) {
    yield { id, list: node.list };
    return;
  }
  for (const child of node.children) yield* walk(reader, child.id, node.level - 1);
}

/** Largest piece of bytes, as `bytesOf` makes of holes. */
const PIECE_BYTES = 1024 * 1024;

/** `reuse`: a piece is valid until the next one is asked for; its memory is then used again. */
export interface ReadOptions {
  reuse?: boolean;
}

/**
 * The content of a file in order: bytes, each verified against its frame's hash, in pieces of at most 1 MiB, and holes. The sum
 * of the lengths is the entry's size. What comes next is loaded and decoded while a piece is looked at.
 */
export async function* readPieces(
  reader: BlobReader,
  entry: FileEntry,
  options: ReadOptions = {},
): AsyncGenerator<Piece> {
  let left = entry.size;
  for await (const { list } of extentLeaves(reader, entry)) {
    const load: Load = (blob, offset, length) => {
      reader.ahead(blob, offset, length);
    };
    const ahead = new ReadAhead(load, list, reader.aheadBytes);
    for (const extent of list.extents) {
      const bytes = extent.length * list.unit;
      if (bytes > left) throw malformed('the extents of a file exceed its size');
      if (extent.blob === undefined) yield { hole: bytes };
      else yield* readExtent(reader, extent.blob, { offset: extent.offset * list.unit, bytes, ahead }, options);
      left -= bytes;
    }
  }
  if (left !== 0) throw new BackupError('DATA_DAMAGED', 'The extents of a file end before its size');
}

/** The same with zeros in place of holes. */
export function readContent(reader: BlobReader, entry: FileEntry): AsyncGenerator<Uint8Array> {
  return bytesOf(readPieces(reader, entry));
}

async function* readExtent(
  reader: BlobReader,
  blob: Buffer,
  { offset, bytes, ahead }: { offset: number; bytes: number; ahead: ReadAhead },
  { reuse = false }: ReadOptions,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes; at += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, bytes - at);
    ahead.readUpTo(length);
    if (!reuse) {
      yield await reader.readRange(blob, offset + at, length);
      continue;
    }
    const { parts, release } = await reader.borrow(blob, offset + at, length);
    try {
      yield* parts;
    } finally {
      release();
    }
  }
}

/** Bytes that are loaded with one read of a pack, where they lie in one blob. */
const STEP_BYTES = 4 * 1024 * 1024;

/** Begins to load bytes `[offset, offset + length)` of a blob. */
type Load = (blob: Buffer, offset: number, length: number) => void;

/** Begins to load the first bytes of files that are read one after the other: of small ones that share a blob with one read. */
export class FilesAhead {
  readonly #reader: BlobReader;
  #span: { blob: Buffer; from: number; to: number } | undefined;

  constructor(reader: BlobReader) {
    this.#reader = reader;
  }

  /** Up to `limit` bytes of a file; they are on their way after `flush` at the latest. Returns how many. */
  add(entry: FileEntry, limit: number): number {
    if (entry.extents === undefined) return 0;
    const load: Load = (blob, offset, length) => {
      const span = this.#span;
      if (span?.to === offset && span.blob.equals(blob) && span.to - span.from < STEP_BYTES) {
        span.to += length;
        return;
      }
      this.flush();
      this.#span = { blob, from: offset, to: offset + length };
    };
    return new ReadAhead(load, entry.extents, limit).begin(limit);
  }

  flush(): void {
    const span = this.#span;
    this.#span = undefined;
    if (span !== undefined) this.#reader.ahead(span.blob, span.from, span.to - span.from);
  }
}

/** Has the bytes of a list of extents loaded before they are read. */
class ReadAhead {
  readonly #load: Load;
  readonly #list: ExtentList;
  readonly #most: number;
  /** The extent that was begun last, and how many bytes of it are on their way. */
  #extent = 0;
  #within = 0;
  /** Bytes on their way, or read already, without holes. */
  #begun = 0;
  #read = 0;

  /** `most`: bytes that are on their way at once. */
  constructor(load: Load, list: ExtentList, most: number) {
    this.#load = load;
    this.#list = list;
    this.#most = most;
  }

  /** To be told of so many bytes more before they are read. */
  readUpTo(bytes: number): void {
    const first = this.#read === 0;
    this.#read += bytes;
    const wanted = this.#read + this.#most;
    // In large steps, so that a blob is not read in small ones; at once where nothing is on its way.
    if (first || wanted - this.#begun >= Math.min(STEP_BYTES, this.#most >> 1)) this.begin(wanted);
  }

  /** Begins to load up to the byte `wanted`, and tells how far it came. */
  begin(wanted: number): number {
    const { extents, unit } = this.#list;
    while (this.#begun < wanted) {
      const extent = extents[this.#extent];
      if (extent === undefined) break;
      const left = extent.length * unit - this.#within;
      if (extent.blob === undefined || left <= 0) {
        this.#extent++;
        this.#within = 0;
        continue;
      }
      const length = Math.min(left, wanted - this.#begun, STEP_BYTES);
      this.#load(extent.blob, extent.offset * unit + this.#within, length);
      this.#within += length;
      this.#begun += length;
    }
    return this.#begun;
  }
}
