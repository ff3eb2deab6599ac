import { createHash } from 'node:crypto';
import { toBackupError } from '@foodsave-backup/kernel';
import {
  appendExtent,
  BLOB_KIND,
  encodeExtentLeaf,
  PAGE_HASH_BYTES,
  pageHashesId,
  PageHasher,
  PAGES_PER_LEAF,
  type Extent,
  type ExtentChild,
  type ExtentList,
  type FileEntry,
  type Folder,
  type RepositoryKeys,
} from '@foodsave-backup/format';
import type { BlobIndex } from './blob-index.ts';
import type { BlobReader } from './blob-reader.ts';
import type { BlobWriter, Tally } from './blob-writer.ts';
import { extentLeaves, type ExtentLeaf } from './extent-reader.ts';
import { saveExtentNode, saveInnerNodes } from './extent-writer.ts';

const BLOB_BYTES = 4 * 1024 * 1024;
const BLOB_PAGES = 1024;
/**
 * Measured on the pages that differ after 0.5 % random row updates of the sample database, zstd level 3, against one frame
 * for all of them: 256 KiB +9 %, 512 KiB +5 %, 1 MiB +3 % (2026-11-23, printed by acceptance/incremental.test.ts). Larger
 * frames cost the reader of one page more, and a restore of a database that is spread over many backups keeps one frame of
 * each in its cache.
 */
const FRAME_BYTES = 512 * 1024;

/** A consistent snapshot of a database file; see the component port. */
export interface PageSource {
  pageSize: number;
  pageCount: number;
  /** Valid until the next call. */
  read(first: number, count: number): Promise<Uint8Array>;
  /** Hashes that another process makes; with them only pages that differ are read. */
  hashed?: {
    /** In order, each page once: the first 16 bytes of SHA-256(`key` ‖ page). */
    hashes(first: number, count: number, key: Uint8Array): Promise<Uint8Array>;
    /** Of all pages, after the last. */
    sha256(): Promise<Uint8Array>;
  };
}

/** Pages `[first, first + count)` of a source, already looked at. */
interface Batch {
  count: number;
  /** 16 bytes a page. */
  hashes: Uint8Array;
  /** All pages of the batch, or those `[from, from + length)`, counted from its first one; valid until the next call. */
  pages: (from: number, length: number) => Promise<Uint8Array> | Uint8Array;
}

export interface SavedPages {
  size: number;
  sha256: Buffer;
  extents?: ExtentList;
  extentRoot?: Buffer;
  /** Pages that were stored because they differ from the previous backup. */
  changedPages: number;
}

/** What the previous backup knows of the pages of one leaf. */
interface PreviousLeaf {
  id?: Buffer;
  extents: Extent[];
  /** 16 bytes a page; zeros where unknown, which is then stored again. */
  hashes: Buffer;
  known: Uint8Array;
}

/** Pages that wait to be compressed together, and the extents that will point at them. */
interface OpenBlob {
  bytes: Buffer;
  hashes: Buffer;
  pages: number;
  extents: Extent[];
}

/**
 * Stores a database file by page: each page is hashed and compared with the newest backup of the same file; only pages that
 * differ are stored, many to a blob, and the extents of everything else point where they pointed before.
 */
export class PagedWriter {
  readonly #keys: RepositoryKeys;
  readonly #blobs: BlobWriter;
  readonly #reader: BlobReader;
  readonly #index: BlobIndex;
  readonly #folder: Folder;
  readonly #tally: Tally;
  #pageSize = 0;
  #open: OpenBlob | undefined;
  #changed = 0;
  #flushing: Promise<void> = Promise.resolve();

  constructor(
    keys: RepositoryKeys,
    blobs: BlobWriter,
    reader: BlobReader,
    index: BlobIndex,
    folder: Folder,
    tally: Tally,
  ) {
    this.#keys = keys;
    this.#blobs = blobs;
    this.#reader = reader;
    this.#index = index;
    this.#folder = folder;
    this.#tally = tally;
  }

  /** `previous`: the file's entry in the newest backup; used when it was kept by page of the same size. */
  async save(
    source: PageSource,
    previous: FileEntry | undefined,
    progress: (bytes: number) => void,
  ): Promise<SavedPages> {
    this.#pageSize = source.pageSize;
    const size = source.pageSize * source.pageCount;
    const usable = previous?.pageSize === source.pageSize ? previous : undefined;
    const older = usable === undefined ? undefined : extentLeaves(this.#reader, usable);
    const look = source.hashed === undefined ? this.#hashHere(source) : this.#hashThere(source, source.hashed);
    const leaves: { extents: Extent[]; reuse: Buffer | undefined; pages: number }[] = [];
    for (let first = 0; first < source.pageCount; first += PAGES_PER_LEAF) {
      const pages = Math.min(PAGES_PER_LEAF, source.pageCount - first);
      const before = await this.#previousLeaf(older);
      const leaf = await this.#leaf(first, pages, before, async (at, count) => {
        const batch = await look.batch(at, count);
        progress(count * source.pageSize);
        return batch;
      });
      leaves.push({ ...leaf, pages });
    }
    await this.#flush();
    await this.#flushing;
    const place = await this.#place(leaves);
    return { size, sha256: Buffer.from(await look.sha256()), ...place, changedPages: this.#changed };
  }

  #hashHere(source: PageSource): Look {
    const digest = createHash('sha256');
    const { pageSize } = source;
    const hasher = new PageHasher(this.#keys, pageSize);
    return {
      batch: async (first, count) => {
        const bytes = await source.read(first, count);
        digest.update(bytes);
        const hashes = Buffer.allocUnsafe(count * PAGE_HASH_BYTES);
        for (let i = 0; i < count; i++) hasher.hashInto(bytes, i * pageSize, hashes, i * PAGE_HASH_BYTES);
        return { count, hashes, pages: (from, length) => bytes.subarray(from * pageSize, (from + length) * pageSize) };
      },
      sha256: () => Promise.resolve(digest.digest()),
    };
  }

  #hashThere(source: PageSource, hashed: NonNullable<PageSource['hashed']>): Look {
    return {
      batch: async (first, count) => ({
        count,
        hashes: await hashed.hashes(first, count, this.#keys.pageHashKey),
        pages: (from, length) => source.read(first + from, length),
      }),
      sha256: () => hashed.sha256(),
    };
  }

  async #place(
    leaves: { extents: Extent[]; reuse: Buffer | undefined; pages: number }[],
  ): Promise<{ extents?: ExtentList; extentRoot?: Buffer }> {
    const [only] = leaves;
    if (only === undefined) return {};
    const unit = this.#pageSize;
    if (leaves.length === 1 && only.extents.length <= 32) return { extents: { unit, extents: only.extents } };
    const children: ExtentChild[] = [];
    for (const leaf of leaves) {
      const id =
        leaf.reuse ??
        (await saveExtentNode(this.#blobs, this.#tally, encodeExtentLeaf({ unit, extents: leaf.extents })));
      children.push({ id, bytes: leaf.pages * unit });
    }
    return { extentRoot: await saveInnerNodes(this.#blobs, this.#tally, children) };
  }

  async #leaf(
    first: number,
    pages: number,
    before: PreviousLeaf | undefined,
    look: Look['batch'],
  ): Promise<{ extents: Extent[]; reuse: Buffer | undefined }> {
    const extents: Extent[] = [];
    const old = before === undefined ? undefined : new PageCursor(before.extents);
    const most = Math.max(1, Math.min(1024, Math.floor(BLOB_BYTES / this.#pageSize)));
    let same = before?.hashes.length === pages * PAGE_HASH_BYTES;
    for (let done = 0; done < pages; done += most) {
      const batch = await look(first + done, Math.min(most, pages - done));
      const differs = (at: number): boolean => !isSame(batch.hashes, at, before, done + at);
      const span = await this.#changedSpan(batch, differs);
      same &&= span === undefined;
      for (let at = 0; at < batch.count; at++) {
        const place = old?.next();
        if (place !== undefined && !differs(at)) appendExtent(extents, { ...place, length: 1 });
        else if (span !== undefined && this.#add(span.page(at), hashAt(batch.hashes, at), extents)) await this.#flush();
      }
    }
    return { extents, reuse: same ? before?.id : undefined };
  }

  /** The pages from the first to the last one that differ, with one look at the source; undefined where none does. */
  async #changedSpan(
    { count, pages }: Batch,
    differs: (at: number) => boolean,
  ): Promise<{ page: (at: number) => Uint8Array } | undefined> {
    let [first, last] = [0, count - 1];
    while (first < count && !differs(first)) first++;
    if (first === count) return undefined;
    while (!differs(last)) last--;
    const bytes = await pages(first, last - first + 1);
    return { page: (at) => bytes.subarray((at - first) * this.#pageSize, (at - first + 1) * this.#pageSize) };
  }

  /** Queues a page that must be stored. True when the blob is full. */
  #add(page: Uint8Array, hash: Uint8Array, extents: Extent[]): boolean {
    const capacity = Math.min(BLOB_PAGES, BLOB_BYTES / this.#pageSize);
    this.#open ??= {
      bytes: this.#blobs.buffers.take(capacity * this.#pageSize),
      hashes: Buffer.allocUnsafe(capacity * PAGE_HASH_BYTES),
      pages: 0,
      extents: [],
    };
    const open = this.#open;
    open.bytes.set(page, open.pages * this.#pageSize);
    open.hashes.set(hash, open.pages * PAGE_HASH_BYTES);
    // The blob has no id yet: its extents are kept and get it when the blob is closed.
    const last = extents.at(-1);
    if (last !== undefined && open.extents.at(-1) === last && last.offset + last.length === open.pages) last.length++;
    else {
      const extent: Extent = { blob: Buffer.alloc(0), offset: open.pages, length: 1 };
      extents.push(extent);
      open.extents.push(extent);
    }
    open.pages++;
    this.#changed++;
    return open.pages === capacity;
  }

  /** Lets the pages that wait be stored while the next ones are read, and waits for those before them. */
  async #flush(): Promise<void> {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    await this.#flushing;
    this.#flushing = this.#store(open);
    // Seen by whoever flushes next, or at the end.
    this.#flushing.catch(() => undefined);
  }

  async #store(open: OpenBlob): Promise<void> {
    const bytes = open.bytes.subarray(0, open.pages * this.#pageSize);
    const frames: Buffer[] = [];
    const frameBytes = Math.max(FRAME_BYTES, this.#pageSize);
    for (let at = 0; at < bytes.length; at += frameBytes) frames.push(bytes.subarray(at, at + frameBytes));
    const saved = await this.#blobs.save(this.#folder, BLOB_KIND.pages, frames, this.#tally, {
      done: () => {
        this.#blobs.buffers.give(open.bytes);
      },
    });
    for (const extent of open.extents) extent.blob = saved.id;
    const hashesId = pageHashesId(this.#keys, saved.id);
    const hashes = open.hashes.subarray(0, open.pages * PAGE_HASH_BYTES);
    await this.#blobs.save('meta', BLOB_KIND.pageHashes, [hashes], this.#tally, { id: hashesId });
  }

  /** Damage in the previous backup means "unknown", never a failure of the new one. */
  async #previousLeaf(leaves: AsyncGenerator<ExtentLeaf> | undefined): Promise<PreviousLeaf | undefined> {
    const next = await leaves?.next().catch((error: unknown) => {
      if (toBackupError(error).code !== 'DATA_DAMAGED') throw error;
      return undefined;
    });
    if (next === undefined || next.done === true) return undefined;
    const { id, list } = next.value;
    const pages = list.extents.reduce((sum, e) => sum + e.length, 0);
    if (list.unit !== this.#pageSize || pages > PAGES_PER_LEAF) return undefined;
    const hashes = Buffer.alloc(pages * PAGE_HASH_BYTES);
    const known = new Uint8Array(pages);
    const cache = new Map<string, Uint8Array | undefined>();
    let at = 0;
    for (const { blob, offset, length } of list.extents) {
      const all = blob === undefined ? undefined : await this.#hashesOf(blob, cache);
      const [from, to] = [offset * list.unit, (offset + length) * list.unit];
      // The hashes of pages that are gone from their blob are still there.
      const there = blob !== undefined && this.#index.hasRange(blob, from, to);
      if (there && all !== undefined && (offset + length) * PAGE_HASH_BYTES <= all.length) {
        hashes.set(all.subarray(offset * PAGE_HASH_BYTES, (offset + length) * PAGE_HASH_BYTES), at * PAGE_HASH_BYTES);
        known.fill(1, at, at + length);
      }
      at += length;
    }
    return { ...(id === undefined ? {} : { id }), extents: list.extents, hashes, known };
  }

  /** `undefined` when the pages or their hashes are no longer there: those pages are then stored again. */
  async #hashesOf(blob: Buffer, cache: Map<string, Uint8Array | undefined>): Promise<Uint8Array | undefined> {
    const key = blob.toString('latin1');
    if (cache.has(key)) return cache.get(key);
    const id = pageHashesId(this.#keys, blob);
    const hashes =
      this.#index.get(blob) !== undefined && this.#index.has(id)
        ? await this.#reader.read(id).catch(() => undefined)
        : undefined;
    cache.set(key, hashes);
    return hashes;
  }
}

/** Looks at pages, wherever they are hashed. */
interface Look {
  batch: (first: number, count: number) => Promise<Batch>;
  sha256: () => Promise<Uint8Array>;
}

/** Whether page `at` of a batch is page `page` of the leaf before, and its place is known. */
function isSame(hashes: Uint8Array, at: number, before: PreviousLeaf | undefined, page: number): boolean {
  if (before?.known[page] !== 1) return false;
  const [from, there] = [at * PAGE_HASH_BYTES, page * PAGE_HASH_BYTES];
  return before.hashes.compare(hashes, from, from + PAGE_HASH_BYTES, there, there + PAGE_HASH_BYTES) === 0;
}

function hashAt(hashes: Uint8Array, page: number): Uint8Array {
  return hashes.subarray(page * PAGE_HASH_BYTES, (page + 1) * PAGE_HASH_BYTES);
}

/** Walks the pages of an extent list one by one. */
class PageCursor {
  readonly #extents: readonly Extent[];
  #extent = 0;
  #page = 0;

  constructor(extents: readonly Extent[]) {
    this.#extents = extents;
  }

  next(): { blob: Buffer | undefined; offset: number } | undefined {
    const extent = this.#extents[this.#extent];
    if (extent === undefined) return undefined;
    const place = { blob: extent.blob, offset: extent.offset + this.#page };
    if (++this.#page === extent.length) {
      this.#extent++;
      this.#page = 0;
    }
    return place;
  }
}
