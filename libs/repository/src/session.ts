import { BackupError, type Piece } from '@foodsave-backup/kernel';
import {
  folderOfType,
  HEADER_BYTES,
  packKey,
  type ExtentList,
  type FileEntry,
  type Folder,
  type IndexedPack,
  type TreeMeta,
  type TreeRecord,
} from '@foodsave-backup/format';
import type { BlobIndex } from './blob-index.ts';
import type { BlobReader } from './blob-reader.ts';
import { aheadOf, PACKS_AT_ONCE } from './ahead-of.ts';
import { BlobWriter, type Tally } from './blob-writer.ts';
import { extentLeaves } from './extent-reader.ts';
import type { CodecOptions, Codecs } from './codec.ts';
import { loadCodecs } from './load-codecs.ts';
import { loadDecoder } from './load-decoder.ts';
import type { IndexLoad } from './index-store.ts';
import { packObjectKey } from './layout.ts';
import { knownDamage } from './known-damage.ts';
import { LinkedFiles, type FileName } from './linked-files.ts';
import { PagedWriter, type PageSource } from './paged-writer.ts';
import { proveFrames } from './pack-examination.ts';
import { loadPresent, removePacks } from './present.ts';
import { readCondemnedToRely } from './condemned.ts';
import type { Repository } from './repository.ts';
import { StreamWriter } from './stream-writer.ts';
import { PreviousTree, type TreeReader } from './tree-reader.ts';
import { TreeWriter, type NewFile } from './tree-writer.ts';

/** One backup in the making: blobs go to packs, packs are read back, and only then an index file names them. */
export class BackupSession {
  readonly repository: Repository;
  readonly blobs: BlobWriter;
  readonly #index: BlobIndex;
  readonly #reader: BlobReader;
  readonly #trees: TreeReader;
  #lossy: boolean;
  #unindexed: readonly IndexedPack[];
  /** Index files that this session wrote. */
  #indexFiles: string[] = [];
  readonly #checked = new Set<IndexedPack>();
  /** Packs that the index names and that are gone or damaged; what they held is stored again. */
  readonly missing: readonly string[];

  private constructor(
    repository: Repository,
    load: IndexLoad,
    found: { missing: readonly string[]; lossy: boolean; codecs: Codecs },
  ) {
    this.repository = repository;
    this.#index = load.index;
    const { blobs, trees } = repository.reader(load, { asItIs: true });
    this.#reader = blobs;
    this.#trees = trees;
    this.missing = found.missing;
    this.#lossy = found.lossy;
    this.#unindexed = load.unindexed;
    this.blobs = new BlobWriter(repository.storage, repository.keys, load.index, found.codecs);
  }

  /** Loads what every session needs, for whoever waits for something else. */
  static loadAhead(options: CodecOptions): void {
    void loadCodecs(options);
    void loadDecoder();
  }

  static async start(repository: Repository, options: CodecOptions, signal?: AbortSignal): Promise<BackupSession> {
    // Before the index, so that a pack which is written off meanwhile is either known here or found before the confirmation.
    const condemned = await readCondemnedToRely(repository);
    const { load, missing } = await loadPresent(repository, signal, await knownDamage(repository.notes));
    removePacks(load.index, condemned.packs);
    const kept = ({ folder, hash }: IndexedPack): boolean => !condemned.packs.has(packObjectKey(folder, hash));
    load.unindexed = load.unindexed.filter(kept);
    const lossy = missing.length > 0 || condemned.packs.size > 0;
    return new BackupSession(repository, load, { missing, lossy, codecs: await loadCodecs(options) });
  }

  /** Keys of all packs that the backup can need. */
  relied(): string[] {
    return [...this.#index.packs(), ...this.blobs.writtenPacks].map(({ folder, hash }) => packObjectKey(folder, hash));
  }

  /** Relies no more on packs that are gone or soon will be: what they held is stored again when it is captured again. */
  async forget(gone: ReadonlySet<string>): Promise<void> {
    if (gone.size === 0) return;
    const isGone = ({ folder, hash }: IndexedPack): boolean => gone.has(packObjectKey(folder, hash));
    const own = [...this.#unindexed, ...this.blobs.writtenPacks].some(isGone);
    removePacks(this.#index, gone);
    this.blobs.forget(isGone);
    this.#unindexed = this.#unindexed.filter((pack) => !isGone(pack));
    this.#lossy = true;
    if (own && this.#indexFiles.length > 0) await this.writeIndex();
  }

  /**
   * `previousRoot`: the tree of this component in the newest backup that has it. `standing`: that backup was there before this
   * session began and after, so that where one of its nodes is, all below it is. Nodes of deleted backups may outlive that.
   */
  component(type: string, previousRoot: Buffer | undefined, standing = false): ComponentWriter {
    const previous = new PreviousTree(this.#trees, previousRoot);
    return new ComponentWriter(this, folderOfType(type), previous, this.#index, this.#reader, this.#lossy || !standing);
  }

  /** Everything durable in packs. */
  async finishPacks(): Promise<readonly IndexedPack[]> {
    return this.blobs.finish();
  }

  /**
   * Reads every new pack back from the storage and decodes every frame. Throws VERIFICATION_FAILED after removing what was
   * damaged, which nothing refers to yet.
   */
  async readBack(progress: (bytes: number) => void, signal?: AbortSignal): Promise<number> {
    let checked = 0;
    const packs = this.blobs.writtenPacks.filter((pack) => !this.#checked.has(pack));
    const examine = (pack: IndexedPack): Promise<string | undefined> =>
      this.#damageOf(packObjectKey(pack.folder, pack.hash), pack);
    for await (const { item: pack, result: reason } of aheadOf(packs, PACKS_AT_ONCE, examine)) {
      signal?.throwIfAborted();
      if (reason !== undefined) {
        const key = packObjectKey(pack.folder, pack.hash);
        await this.repository.storage.delete(key);
        throw new BackupError('VERIFICATION_FAILED', `Verification failed: ${key} reads back differently (${reason})`, {
          hint: 'The disk or the memory of this machine may be failing. No backup was recorded; older backups are untouched.',
        });
      }
      this.#checked.add(pack);
      checked += pack.size;
      progress(pack.size);
    }
    return checked;
  }

  /** Every new pack is there with its size. Throws VERIFICATION_FAILED. */
  async assertPresent(): Promise<void> {
    for (const pack of this.blobs.writtenPacks) {
      const key = packObjectKey(pack.folder, pack.hash);
      if ((await this.repository.storage.stat(key))?.size === pack.size) continue;
      throw new BackupError('VERIFICATION_FAILED', `Verification failed: ${key} is missing or has another size`, {
        hint: 'Check the disk. No backup was recorded; older backups are untouched.',
      });
    }
  }

  async #damageOf(key: string, pack: IndexedPack): Promise<string | undefined> {
    const decoder = await loadDecoder();
    const memory = decoder.take(pack.size);
    try {
      const bytes = await this.repository.storage.get(key, undefined, { into: memory });
      if (!(await decoder.sha256(bytes)).equals(pack.hash)) return 'its SHA-256 differs';
      const frameKey = packKey(this.repository.keys, bytes.subarray(0, HEADER_BYTES));
      await proveFrames(decoder, frameKey, pack.blobs, bytes);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : 'unreadable';
    } finally {
      decoder.give(memory);
    }
  }

  /**
   * Names the new packs, and those that this backup may rely on and that no index file names yet, in one file, which
   * replaces what this session wrote before. A pack of another writer that went meanwhile is left out; whether this backup
   * needs it is found out before it is confirmed.
   */
  async writeIndex(): Promise<void> {
    const { storage, indexStore } = this.repository;
    const present: IndexedPack[] = [];
    for (const pack of this.#unindexed) {
      if ((await storage.stat(packObjectKey(pack.folder, pack.hash)))?.size === pack.size) present.push(pack);
    }
    const before = this.#indexFiles;
    const written = await indexStore.write([...present, ...this.blobs.writtenPacks]);
    this.#indexFiles = written === undefined ? [] : [written];
    for (const key of before) if (key !== written) await storage.delete(key);
  }
}

export interface ComponentTotals {
  files: number;
  directories: number;
  links: number;
  sizeBytes: number;
  storedBytes: number;
  /** What a restore needs room for, where holes and further names of one file make that less than `sizeBytes`. */
  roomBytes?: number;
}

/** Receives the entries of one component and builds its tree. */
export class ComponentWriter {
  readonly #tally: Tally = { storedBytes: 0 };
  readonly #tree: TreeWriter;
  readonly #streams: StreamWriter;
  readonly #previous: PreviousTree;
  readonly #index: BlobIndex;
  readonly #reader: BlobReader;
  readonly #session: BackupSession;
  readonly #folder: Folder;
  readonly #lossy: boolean;
  readonly #totals = { files: 0, directories: 0, links: 0, sizeBytes: 0, roomBytes: 0 };
  readonly #linked = new LinkedFiles();

  constructor(
    session: BackupSession,
    folder: Folder,
    previous: PreviousTree,
    index: BlobIndex,
    reader: BlobReader,
    lossy: boolean,
  ) {
    const { keys } = session.repository;
    this.#session = session;
    this.#folder = folder;
    this.#previous = previous;
    this.#index = index;
    this.#reader = reader;
    this.#lossy = lossy;
    this.#tree = new TreeWriter(session.blobs, this.#tally);
    this.#streams = new StreamWriter(keys, session.blobs, folder, this.#tally);
  }

  /** The entry of the previous backup at a path; of a file only when all of its content is still there. */
  previous(path: readonly Buffer[]): TreeRecord | undefined | Promise<TreeRecord | undefined> {
    const found = this.#previous.find(path);
    return found instanceof Promise ? found.then((record) => this.#usable(record)) : this.#usable(found);
  }

  /** Without a promise where nothing has to be read: a backup asks for every file. */
  #usable(record: TreeRecord | undefined): TreeRecord | undefined | Promise<TreeRecord | undefined> {
    if (record?.entry.type !== 'file') return record;
    const { entry } = record;
    const intact = this.#isIntact(entry);
    if (intact instanceof Promise) return intact.then((yes) => (yes ? record : undefined));
    if (!intact) return undefined;
    if (entry.extents !== undefined && entry.pageSize === undefined && entry.sha256 !== undefined)
      this.#streams.remember(entry.sha256, entry.extents);
    return record;
  }

  #isIntact(entry: FileEntry): boolean | Promise<boolean> {
    if (entry.extents !== undefined) return this.#isPresent(entry.extents);
    if (entry.extentRoot === undefined) return true;
    return this.#lossy ? this.#hasAllOf(entry) : this.#index.has(entry.extentRoot);
  }

  #isPresent(list: ExtentList): boolean {
    return list.extents.every(
      ({ blob, offset, length }) =>
        blob === undefined || this.#index.hasRange(blob, offset * list.unit, (offset + length) * list.unit),
    );
  }

  async #hasAllOf(entry: FileEntry): Promise<boolean> {
    try {
      for await (const leaf of extentLeaves(this.#reader, entry)) if (!this.#isPresent(leaf.list)) return false;
      return true;
    } catch {
      return false;
    }
  }

  addDirectory(path: readonly Buffer[], meta: TreeMeta): void {
    this.#tree.addDirectory(path, meta);
    this.#totals.directories++;
  }

  addLink(path: readonly Buffer[], meta: TreeMeta, target: Buffer): void {
    this.#tree.addLink(path, { ...meta, type: 'symlink', target });
    this.#totals.links++;
  }

  addFifo(path: readonly Buffer[], meta: TreeMeta): void {
    this.#tree.addFifo(path, meta);
  }

  /** A file whose content is that of `before`, with new metadata. */
  addUnchanged(path: readonly Buffer[], meta: TreeMeta, { entry: before, encoded }: TreeRecord, name?: FileName): void {
    if (before.type !== 'file') throw new BackupError('INTERNAL', 'what is unchanged was no file');
    if (name === undefined && before.link === undefined && before.changedWhileRead !== true && sameMeta(meta, before)) {
      this.#tree.addEncoded(path, before.size, encoded);
      this.#count(before, false);
      return;
    }
    const { extents, extentRoot, pageSize, size, sha256: digest, blockSha256, holeBytes } = before;
    const place = Promise.resolve({ ...(extents ? { extents } : {}), ...(extentRoot ? { extentRoot } : {}) });
    const pages = pageSize === undefined ? {} : { pageSize };
    const hash = blockSha256 === undefined ? { ...(digest ? { sha256: digest } : {}) } : { blockSha256 };
    const holes = holeBytes === undefined ? {} : { holeBytes };
    this.#addFile(path, { ...meta, ...pages, ...hash, ...holes, type: 'file', size, place }, name);
  }

  /**
   * Another name of a file that was stored in this session, with the content and metadata that were found then. Undefined when
   * it was not.
   */
  addAgain(path: readonly Buffer[], name: FileName): NewFile | undefined {
    const stored = this.#linked.find(name);
    if (stored !== undefined) this.#addFile(path, stored, name);
    return stored;
  }

  async addStream(
    path: readonly Buffer[],
    content: AsyncIterable<Piece>,
    finish: () => Promise<{ meta: TreeMeta; changed: boolean }>,
    progress: (bytes: number) => void,
    how: { byBlocks?: boolean; name?: FileName; before?: TreeRecord } = {},
  ): Promise<{ changed: boolean }> {
    const { byBlocks = false, before } = how;
    const leaves = before?.entry.type === 'file' ? { before: extentLeaves(this.#reader, before.entry) } : {};
    const saved = await this.#streams.save(content, progress, { byBlocks, ...leaves });
    const { meta, changed } = await finish();
    const flag = changed ? { changedWhileRead: true } : {};
    this.#addFile(path, { ...meta, ...flag, ...saved, type: 'file' }, how.name);
    return { changed };
  }

  /** A small file (`SMALL_FILE_BYTES`) whose content is in memory. Resolves when more may come; `bytes` may be used again at once. */
  addWhole(
    path: readonly Buffer[],
    meta: TreeMeta & { changedWhileRead?: boolean },
    bytes: Uint8Array,
    name?: FileName,
  ): Promise<void> {
    this.#addFile(path, { ...meta, ...this.#streams.saveSmall(bytes), type: 'file' }, name);
    return this.#streams.room();
  }

  async addPaged(
    path: readonly Buffer[],
    meta: TreeMeta,
    source: PageSource,
    progress: (bytes: number) => void,
  ): Promise<{ changedPages: number; sha256: Buffer }> {
    const before = (await this.#previous.find(path))?.entry;
    const { keys } = this.#session.repository;
    const writer = new PagedWriter(keys, this.#session.blobs, this.#reader, this.#index, this.#folder, this.#tally);
    const saved = await writer.save(source, before?.type === 'file' ? before : undefined, progress);
    const { size, sha256: digest, changedPages, ...where } = saved;
    const file = { ...meta, type: 'file' as const, size, sha256: digest, pageSize: source.pageSize };
    this.#addFile(path, { ...file, place: Promise.resolve(where) });
    return { changedPages, sha256: digest };
  }

  #addFile(path: readonly Buffer[], file: NewFile, name?: FileName): void {
    const again = this.#linked.find(name) !== undefined;
    if (name !== undefined) this.#linked.add(name, file);
    this.#tree.addFile(path, name === undefined ? file : { ...file, link: name.link });
    this.#count(file, again);
  }

  /** `again`: another name of what was counted. */
  #count({ size, holeBytes }: Pick<FileEntry, 'size' | 'holeBytes'>, again: boolean): void {
    this.#totals.files++;
    this.#totals.sizeBytes += size;
    if (!again) this.#totals.roomBytes += size - (holeBytes ?? 0);
  }

  /** Id of the root node. The totals are final only after the session's packs are finished. */
  async finish(): Promise<Buffer> {
    const root = this.#tree.finish();
    root.catch(() => undefined);
    await this.#streams.flush();
    this.#session.blobs.release(this.#folder);
    return root;
  }

  totals(): ComponentTotals {
    const { roomBytes, ...totals } = this.#totals;
    const room = roomBytes === totals.sizeBytes ? {} : { roomBytes };
    return { ...totals, ...room, storedBytes: this.#tally.storedBytes };
  }
}

/** Whether an entry with this metadata is stored as before. Those with attributes are compared by who has their bytes. */
function sameMeta(meta: TreeMeta, before: TreeMeta): boolean {
  return (
    meta.mtimeNs === before.mtimeNs &&
    meta.ctimeNs === before.ctimeNs &&
    meta.inode === before.inode &&
    meta.mode === before.mode &&
    meta.uid === before.uid &&
    meta.gid === before.gid &&
    meta.xattrs?.length === before.xattrs?.length &&
    (meta.xattrs?.length ?? 0) === 0
  );
}
