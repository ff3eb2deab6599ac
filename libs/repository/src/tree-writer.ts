import { assert } from '@foodsave-backup/kernel';
import {
  BLOB_KIND,
  encodeEntry,
  encodeTreeIndex,
  encodeTreeLeaf,
  type DirectoryEntry,
  type ExtentList,
  type FileEntry,
  type LinkEntry,
  type TreeChild,
  type TreeMeta,
} from '@foodsave-backup/format';
import type { BlobWriter, Tally } from './blob-writer.ts';

/** A leaf of a large directory ends at a name whose hash says so, once it has this many bytes. */
const LEAF_BYTES_MIN = 32 * 1024;
const LEAF_BYTES_MAX = 512 * 1024;

export type NewFile = Omit<FileEntry, 'name' | 'extents' | 'extentRoot'> & {
  place: Promise<{ extents?: ExtentList; extentRoot?: Buffer }>;
};
export type NewLink = Omit<LinkEntry, 'name'>;

interface Slot {
  name: Buffer;
  encoded: Buffer | Promise<Buffer>;
}

interface OpenDirectory {
  name: Buffer;
  meta: TreeMeta;
  slots: Slot[];
  files: number;
  bytes: number;
  implied: boolean;
}

const ROOT_META: TreeMeta = { mode: 0o755, mtimeNs: 0n };

/**
 * Builds the tree of one component from entries that arrive parents before children, siblings in ascending byte order.
 * Directories are written when they are left, in that order, as soon as the contents below them have their places.
 */
export class TreeWriter {
  readonly #blobs: BlobWriter;
  readonly #tally: Tally;
  readonly #stack: OpenDirectory[] = [
    { name: Buffer.alloc(0), meta: ROOT_META, slots: [], files: 0, bytes: 0, implied: true },
  ];

  constructor(blobs: BlobWriter, tally: Tally) {
    this.#blobs = blobs;
    this.#tally = tally;
  }

  addDirectory(path: readonly Buffer[], meta: TreeMeta): void {
    const [parents, name] = split(path);
    this.#enter(parents);
    this.#stack.push({ name, meta, slots: [], files: 0, bytes: 0, implied: false });
  }

  addFile(path: readonly Buffer[], file: NewFile): void {
    const [parents, name] = split(path);
    const parent = this.#enter(parents);
    parent.files++;
    parent.bytes += file.size;
    const { place, ...rest } = file;
    this.#push(
      parent,
      name,
      place.then((where) => encodeEntry({ ...rest, ...where, name })),
    );
  }

  /** A file of `size` bytes as it was stored before, under the same name: `encoded` is what `encodeEntry` made. */
  addEncoded(path: readonly Buffer[], size: number, encoded: Buffer): void {
    const [parents, name] = split(path);
    const parent = this.#enter(parents);
    parent.files++;
    parent.bytes += size;
    this.#push(parent, name, encoded);
  }

  addLink(path: readonly Buffer[], link: NewLink): void {
    const [parents, name] = split(path);
    this.#push(this.#enter(parents), name, Promise.resolve(encodeEntry({ ...link, name })));
  }

  addFifo(path: readonly Buffer[], meta: TreeMeta): void {
    const [parents, name] = split(path);
    this.#push(this.#enter(parents), name, Promise.resolve(encodeEntry({ ...meta, type: 'fifo', name })));
  }

  /** Id of the root node, once every place has resolved. */
  async finish(): Promise<Buffer> {
    while (this.#stack.length > 1) this.#leave();
    const root = this.#stack[0];
    assert(root !== undefined, 'a tree has a root');
    return this.#write(root);
  }

  /** Closes directories that are not on the way to `parents`, opens those that were not announced. */
  #enter(parents: readonly Buffer[]): OpenDirectory {
    let depth = 0;
    while (depth < parents.length) {
      const open = this.#stack[depth + 1]?.name;
      const name = parents[depth] as Buffer;
      if (open !== name && open?.equals(name) !== true) break;
      depth++;
    }
    while (this.#stack.length > depth + 1) this.#leave();
    for (; depth < parents.length; depth++) {
      this.#stack.push({
        name: parents[depth] as Buffer,
        meta: ROOT_META,
        slots: [],
        files: 0,
        bytes: 0,
        implied: true,
      });
    }
    const top = this.#stack.at(-1);
    assert(top !== undefined, 'a tree has a root');
    return top;
  }

  #leave(): void {
    const left = this.#stack.pop();
    const parent = this.#stack.at(-1);
    assert(left !== undefined && parent !== undefined, 'the root is not left');
    parent.files += left.files;
    parent.bytes += left.bytes;
    const { name, meta, files, bytes, implied } = left;
    const encoded = this.#write(left).then((tree) => {
      const entry: DirectoryEntry = {
        ...meta,
        type: 'directory',
        name,
        tree,
        files,
        bytes,
        ...(implied ? { implied } : {}),
      };
      return encodeEntry(entry);
    });
    this.#push(parent, name, encoded);
  }

  #push(parent: OpenDirectory, name: Buffer, encoded: Buffer | Promise<Buffer>): void {
    const last = parent.slots.at(-1);
    assert(last === undefined || Buffer.compare(last.name, name) < 0, 'entries come in ascending order of their names');
    // Awaited when the directory is written; until then a failure must not count as unhandled.
    if (encoded instanceof Promise) encoded.catch(() => undefined);
    parent.slots.push({ name, encoded });
  }

  async #write(directory: OpenDirectory): Promise<Buffer> {
    const leaves: TreeChild[] = [];
    let leaf: Buffer[] = [];
    let bytes = 0;
    let first: Buffer | undefined;
    for (const slot of directory.slots) {
      const encoded = slot.encoded instanceof Promise ? await slot.encoded : slot.encoded;
      first ??= slot.name;
      leaf.push(encoded);
      bytes += encoded.length;
      if (bytes >= LEAF_BYTES_MAX || (bytes >= LEAF_BYTES_MIN && endsLeaf(slot.name))) {
        leaves.push({ id: await this.#save(encodeTreeLeaf(leaf)), firstName: first });
        leaf = [];
        bytes = 0;
        first = undefined;
      }
    }
    if (leaf.length > 0 || leaves.length === 0) {
      leaves.push({ id: await this.#save(encodeTreeLeaf(leaf)), firstName: first ?? Buffer.alloc(0) });
    }
    return this.#index(leaves);
  }

  async #index(children: TreeChild[]): Promise<Buffer> {
    let nodes = children;
    while (nodes.length > 1) {
      const above: TreeChild[] = [];
      for (let i = 0; i < nodes.length; i += 1024) {
        const group = nodes.slice(i, i + 1024);
        const [start] = group;
        if (start !== undefined)
          above.push({ id: await this.#save(encodeTreeIndex(group)), firstName: start.firstName });
      }
      nodes = above;
    }
    const [root] = nodes;
    assert(root !== undefined, 'a directory has a node');
    return root.id;
  }

  async #save(node: Buffer): Promise<Buffer> {
    return (await this.#blobs.save('meta', BLOB_KIND.tree, [node], this.#tally)).id;
  }
}

function split(path: readonly Buffer[]): [parents: readonly Buffer[], name: Buffer] {
  const name = path.at(-1);
  assert(name !== undefined, 'an entry has a name');
  return [path.slice(0, -1), name];
}

/** FNV-1a over the name: stable under insertions elsewhere, so that one new file changes one leaf. One name in 64 ends a leaf. */
function endsLeaf(name: Buffer): boolean {
  let hash = 0x811c9dc5;
  for (const byte of name) hash = Math.imul(hash ^ byte, 0x01000193);
  return ((hash >>> 16) & 63) === 0;
}
