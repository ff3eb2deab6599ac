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
  read(first: number, count: number): Promise<Uint8Array>;
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
    const digest = createHash('sha256');
    const hasher = new PageHasher(this.#keys, source.pageSize);
    const leaves: { extents: Extent[]; reuse: Buffer | undefined; pages: number }[] = [];
    for (let first = 0; first < source.pageCount; first += PAGES_PER_LEAF) {
      const pages = Math.min(PAGES_PER_LEAF, source.pageCount - first);
      const before = await this.#previousLeaf(older);
      const leaf = await this.#leaf(source, first, pages, before, hasher, (bytes) => {
        digest.update(bytes);
        progress(bytes.length);
      });
      leaves.push({ ...leaf, pages });
    }
    await this.#flush();
    await this.#flushing;
    const place = await this.#place(leaves);
    return { size, sha256: digest.digest(), ...place, changedPages: this.#changed };
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
    source: PageSource,
    first: number,
    pages: number,
    before: PreviousLeaf | undefined,
    hasher: PageHasher,
    seen: (bytes: Uint8Array) => void,
  ): Promise<{ extents: Extent[]; reuse: Buffer | undefined }> {
    const extents: Extent[] = [];
    const hash = Buffer.allocUnsafe(PAGE_HASH_BYTES);
    const old = before === undefined ? undefined : new PageCursor(before.extents);
    const batch = Math.max(1, Math.min(1024, Math.floor(BLOB_BYTES / source.pageSize)));
    let same = before?.hashes.length === pages * PAGE_HASH_BYTES;
    for (let done = 0; done < pages; done += batch) {
      const count = Math.min(batch, pages - done);
      const bytes = await source.read(first + done, count);
      seen(bytes);
      for (let i = 0; i < count; i++) {
        hasher.hashInto(bytes, i * source.pageSize, hash, 0);
        const page = done + i;
        const place = old?.next();
        const at = page * PAGE_HASH_BYTES;
        const equal =
          place !== undefined &&
          before?.known[page] === 1 &&
          before.hashes.compare(hash, 0, PAGE_HASH_BYTES, at, at + PAGE_HASH_BYTES) === 0;
        if (equal) {
          appendExtent(extents, { ...place, length: 1 });
          continue;
        }
        same = false;
        if (this.#add(bytes.subarray(i * source.pageSize, (i + 1) * source.pageSize), hash, extents))
          await this.#flush();
      }
    }
    return { extents, reuse: same ? before?.id : undefined };
  }

  /** Queues a page that must be stored. True when the blob is full. */
  #add(page: Uint8Array, hash: Buffer, extents: Extent[]): boolean {
    const capacity = Math.min(BLOB_PAGES, BLOB_BYTES / this.#pageSize);
    this.#open ??= {
      bytes: this.#blobs.buffers.take(capacity * this.#pageSize),
      hashes: Buffer.allocUnsafe(capacity * PAGE_HASH_BYTES),
      pages: 0,
      extents: [],
    };
    const open = this.#open;
    open.bytes.set(page, open.pages * this.#pageSize);
    hash.copy(open.hashes, open.pages * PAGE_HASH_BYTES);
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
