import { hasBytes, isWhole, type BlobEntry, type Folder, type IndexedPack } from '@foodsave-backup/format';

export interface PackRef {
  hash: Buffer;
  folder: Folder;
  size: number;
}

export interface BlobLocation {
  pack: PackRef;
  blob: BlobEntry;
}

/** Where each blob lies: the union of all index files, in memory. Keys are the ids as latin1 strings, which V8 keeps one byte a character. */
export class BlobIndex {
  readonly #blobs = new Map<string, BlobLocation>();
  /** Further places of the few blobs that lie in more than one pack. */
  readonly #copies = new Map<string, BlobLocation[]>();
  readonly #packs = new Map<string, PackRef>();
  readonly #contents = new Map<string, BlobEntry[]>();
  /** No pack comes back under the name of one that went, so that what was removed stays so. */
  readonly #removed = new Set<string>();

  addPack(pack: IndexedPack): void {
    const key = pack.hash.toString('hex');
    if (this.#packs.has(key)) return;
    const ref: PackRef = { hash: pack.hash, folder: pack.folder, size: pack.size };
    this.#packs.set(key, ref);
    this.#contents.set(key, pack.blobs);
    for (const blob of pack.blobs) {
      const id = blob.id.toString('latin1');
      if (!this.#blobs.has(id)) this.#blobs.set(id, { pack: ref, blob });
      else this.#copies.set(id, [...(this.#copies.get(id) ?? []), { pack: ref, blob }]);
    }
  }

  /** Forgets a pack; blobs of it that lie in another pack too are found there afterwards. */
  removePack(hash: Uint8Array): void {
    const key = Buffer.from(hash).toString('hex');
    const blobs = this.#contents.get(key) ?? [];
    this.#packs.delete(key);
    this.#contents.delete(key);
    this.#removed.add(key);
    for (const { id } of blobs) {
      const name = id.toString('latin1');
      const [first, ...copies] = this.all(id).filter(({ pack }) => !pack.hash.equals(hash));
      if (first === undefined) this.#blobs.delete(name);
      else this.#blobs.set(name, first);
      if (copies.length === 0) this.#copies.delete(name);
      else this.#copies.set(name, copies);
    }
  }

  /** Takes in the packs of another index that this one does not know and never removed. */
  merge(other: BlobIndex): void {
    for (const pack of other.indexedPacks()) if (!this.#removed.has(pack.hash.toString('hex'))) this.addPack(pack);
  }

  /** The packs with what they hold, as an index file names them. */
  *indexedPacks(): Generator<IndexedPack> {
    for (const [key, ref] of this.#packs) yield { ...ref, blobs: this.#contents.get(key) ?? [] };
  }

  /** Every place of a blob; each is good for what is left of it there. */
  all(id: Uint8Array): BlobLocation[] {
    const first = this.get(id);
    if (first === undefined) return [];
    return [
      first,
      ...(this.#copies.get(Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1')) ?? []),
    ];
  }

  get(id: Uint8Array): BlobLocation | undefined {
    return this.#blobs.get(Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1'));
  }

  /** Whether all of a blob can be had from one pack, so that it need not be stored. */
  has(id: Uint8Array): boolean {
    return this.all(id).some(({ blob }) => isWhole(blob.frames));
  }

  /** Whether bytes `[from, to)` of a blob can be had. */
  hasRange(id: Uint8Array, from: number, to: number): boolean {
    return this.all(id).some(({ blob }) => hasBytes(blob.frames, from, to));
  }

  packs(): IterableIterator<PackRef> {
    return this.#packs.values();
  }

  hasPack(hash: Uint8Array): boolean {
    return this.#packs.has(Buffer.from(hash).toString('hex'));
  }

  blobsOf(hash: Uint8Array): readonly BlobEntry[] {
    return this.#contents.get(Buffer.from(hash).toString('hex')) ?? [];
  }

  get blobCount(): number {
    return this.#blobs.size;
  }

  get packCount(): number {
    return this.#packs.size;
  }
}
