import { randomBytes } from 'node:crypto';
import { BackupError, toBackupError } from '@foodsave-backup/kernel';
import {
  decodeIndex,
  encodeIndex,
  FOLDERS,
  FOOTER_BYTES,
  HEADER_BYTES,
  OBJECT_KIND,
  openDirectory,
  openObject,
  readFooter,
  sealObject,
  sha256,
  type Folder,
  type IndexedPack,
  type RepositoryKeys,
} from '@foodsave-backup/format';
import type { StorageBackend } from '@foodsave-backup/storage';
import { BlobIndex } from './blob-index.ts';
import { hashOfKey, indexObjectKey, packObjectKey } from './layout.ts';

export interface IndexLoad {
  index: BlobIndex;
  /** Keys of the index files that were read. */
  files: string[];
  /** Index files that could not be read, with the reason. Their packs were read instead. */
  damaged: { key: string; reason: string }[];
  /** Packs that no readable index file names. They are in `index`; whoever relies on them names them in an index file. */
  unindexed: IndexedPack[];
  /** Packs on the storage, listed after the index was read: object key → bytes. */
  present: ReadonlyMap<string, number>;
}

/** Reads, writes and rebuilds the files under `index/`. */
export class IndexStore {
  readonly #storage: StorageBackend;
  readonly #keys: RepositoryKeys;

  constructor(storage: StorageBackend, keys: RepositoryKeys) {
    this.#storage = storage;
    this.#keys = keys;
  }

  /** Every index file, and the packs that none of them names: what is left of a lost index file or of a crash. */
  async load(signal?: AbortSignal): Promise<IndexLoad> {
    for (let attempt = 0; ; attempt++) {
      const loaded = await this.#loadOnce(signal);
      // A merge may have replaced a file between the listing and the read: list again.
      if (loaded !== undefined) return loaded;
      if (attempt >= 4) {
        throw new BackupError('IO_ERROR', 'The index changed faster than it could be read', { hint: 'Try again.' });
      }
    }
  }

  /**
   * Brings an index up to date with what other processes wrote since it was loaded; packs that it has are not looked at
   * again, and those that were removed from it stay away. False when nothing was written.
   */
  async refresh(load: IndexLoad, signal?: AbortSignal): Promise<boolean> {
    const known = new Set([...load.files, ...load.damaged.map(({ key }) => key)]);
    let count = 0;
    let changed = false;
    for (const key of await this.#storage.keys('index/')) {
      if (hashOfKey(key) === undefined) continue;
      count++;
      changed ||= !known.has(key);
    }
    if (!changed && count === known.size) return false;
    const fresh = await this.load(signal);
    load.index.merge(fresh.index);
    load.files = fresh.files;
    load.damaged = fresh.damaged;
    load.unindexed = fresh.unindexed;
    load.present = fresh.present;
    return true;
  }

  async #loadOnce(signal: AbortSignal | undefined): Promise<IndexLoad | undefined> {
    const index = new BlobIndex();
    const files: string[] = [];
    const damaged: IndexLoad['damaged'] = [];
    for (const key of await this.#storage.keys('index/')) {
      const hash = hashOfKey(key);
      if (hash === undefined) continue;
      signal?.throwIfAborted();
      let bytes: Uint8Array;
      try {
        bytes = await this.#storage.get(key);
      } catch (error) {
        if ((await this.#storage.stat(key)) === undefined) return undefined;
        damaged.push({ key, reason: toBackupError(error).message });
        continue;
      }
      try {
        for (const pack of this.#decode(hash, bytes)) index.addPack(pack);
        files.push(key);
      } catch (error) {
        const known = toBackupError(error);
        if (known.code === 'FORMAT_TOO_NEW') throw known;
        damaged.push({ key, reason: known.message });
      }
    }
    const present = new Map<string, number>();
    const unindexed: IndexedPack[] = [];
    for (const folder of FOLDERS) {
      for await (const { key, size } of this.#storage.list(`${folder}/`)) {
        const hash = hashOfKey(key);
        if (hash === undefined) continue;
        signal?.throwIfAborted();
        present.set(key, size);
        if (index.hasPack(hash)) continue;
        // One that cannot be read holds nothing.
        const pack = await this.readPackDirectory(folder, hash, size).catch(() => undefined);
        if (pack !== undefined) unindexed.push(pack);
      }
    }
    for (const pack of unindexed) index.addPack(pack);
    return { index, files, damaged, unindexed, present };
  }

  /** The packs that an index file names. */
  #decode(hash: Buffer, bytes: Uint8Array): IndexedPack[] {
    if (!sha256(bytes).equals(hash)) throw new BackupError('DATA_DAMAGED', 'its name is not its SHA-256');
    return decodeIndex(openObject(this.#keys, OBJECT_KIND.index, bytes)).packs;
  }

  async readPackDirectory(folder: Folder, hash: Buffer, size: number): Promise<IndexedPack> {
    const key = packObjectKey(folder, hash);
    if (size < HEADER_BYTES + FOOTER_BYTES) throw new BackupError('DATA_DAMAGED', 'A pack is shorter than its header');
    const header = await this.#storage.get(key, { offset: 0, length: HEADER_BYTES });
    const footer = await this.#storage.get(key, { offset: size - FOOTER_BYTES, length: FOOTER_BYTES });
    const place = readFooter(footer, size);
    const sealed = await this.#storage.get(key, place);
    const directory = openDirectory(this.#keys, header, sealed, size);
    if (directory.folder !== folder)
      throw new BackupError('DATA_DAMAGED', 'A pack lies in another folder than it says');
    return { hash, folder, size, blobs: directory.blobs };
  }

  /** Writes one index file for these packs. Nothing is written for none. */
  async write(packs: readonly IndexedPack[], replaces: readonly Uint8Array[] = []): Promise<string | undefined> {
    if (packs.length === 0 && replaces.length === 0) return undefined;
    const object = sealObject(this.#keys, OBJECT_KIND.index, encodeIndex(packs, replaces), randomBytes(32));
    const key = indexObjectKey(sha256(object));
    await this.#storage.put(key, object);
    return key;
  }

  /**
   * One file in place of `files`, holding the packs of `index`. The new file is durable before the first old one goes. Files
   * that others wrote meanwhile stay. Returns its key; none is written for an empty index.
   */
  async replace(index: BlobIndex, files: readonly string[]): Promise<string | undefined> {
    const packs = [...index.indexedPacks()];
    const old = files.map((key) => hashOfKey(key)).filter((hash) => hash !== undefined);
    const written = await this.write(packs, old);
    for (const key of files) if (key !== written) await this.#storage.delete(key);
    return written;
  }

  /**
   * One file in place of these, which says what they say; those that are gone or cannot be read are left out. `assertHeld` throws
   * when someone may have replaced the index meanwhile: the new file then goes again, and the old ones stay.
   */
  async mergeFiles(keys: readonly string[], assertHeld: () => Promise<void>, signal?: AbortSignal): Promise<void> {
    const packs = new Map<string, IndexedPack>();
    const merged: string[] = [];
    for (const key of keys) {
      signal?.throwIfAborted();
      const hash = hashOfKey(key);
      if (hash === undefined) continue;
      try {
        for (const pack of this.#decode(hash, await this.#storage.get(key))) packs.set(pack.hash.toString('hex'), pack);
        merged.push(key);
      } catch {
        // Whoever loads the index says so.
      }
    }
    if (merged.length < 2) return;
    await assertHeld();
    const replaced = merged.map((key) => hashOfKey(key)).filter((hash) => hash !== undefined);
    const written = await this.write([...packs.values()], replaced);
    try {
      await assertHeld();
    } catch (error) {
      if (written !== undefined) await this.#storage.delete(written);
      throw error;
    }
    for (const key of merged) if (key !== written) await this.#storage.delete(key);
  }
}
