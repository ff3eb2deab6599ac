import { BackupError } from '@foodsave-backup/kernel';
import { decodeTreeNode, LIMITS, malformed, type TreeEntry } from '@foodsave-backup/format';
import type { BlobReader } from './blob-reader.ts';

/** Directories nest at most this deep; deeper ones are the work of an attacker. */
const DEPTH_MAX = 1024;

export interface WalkedEntry {
  /** Names from the root of the component's tree. */
  path: Buffer[];
  entry: TreeEntry;
}

/** Reads trees: lists directories, finds paths, walks everything in the order in which it was written. */
export class TreeReader {
  readonly #blobs: BlobReader;

  constructor(blobs: BlobReader) {
    this.#blobs = blobs;
  }

  /** The entries of one directory, ascending. `tree`: id of its node. */
  async *entries(tree: Buffer): AsyncGenerator<TreeEntry> {
    yield* this.#nodes(tree, LIMITS.nodeLevels, { last: undefined });
  }

  async *#nodes(tree: Buffer, levels: number, order: { last: Buffer | undefined }): AsyncGenerator<TreeEntry> {
    const node = decodeTreeNode(await this.#blobs.read(tree));
    if (!node.leaf) {
      if (levels === 0) throw malformed('a tree index is too deep');
      for (const child of node.children) yield* this.#nodes(child.id, levels - 1, order);
      return;
    }
    for (const entry of node.entries) {
      if (order.last !== undefined && Buffer.compare(order.last, entry.name) >= 0)
        throw malformed('names out of order');
      order.last = entry.name;
      yield entry;
    }
  }

  /** Every entry below a directory, parents before children. */
  async *walk(tree: Buffer, path: Buffer[] = []): AsyncGenerator<WalkedEntry> {
    if (path.length >= DEPTH_MAX) throw malformed('directories nest too deep');
    for await (const entry of this.entries(tree)) {
      const here = [...path, entry.name];
      yield { path: here, entry };
      if (entry.type === 'directory') yield* this.walk(entry.tree, here);
    }
  }

  /** The entry at a path, or `undefined`. */
  async find(root: Buffer, path: readonly Buffer[]): Promise<TreeEntry | undefined> {
    let tree = root;
    for (const [depth, name] of path.entries()) {
      const entry = await this.#child(tree, name, LIMITS.nodeLevels);
      if (entry === undefined || depth === path.length - 1) return entry;
      if (entry.type !== 'directory') return undefined;
      tree = entry.tree;
    }
    return undefined;
  }

  async #child(tree: Buffer, name: Buffer, levels: number): Promise<TreeEntry | undefined> {
    const node = decodeTreeNode(await this.#blobs.read(tree));
    if (node.leaf) return node.entries.find((entry) => entry.name.equals(name));
    if (levels === 0) throw malformed('a tree index is too deep');
    const child = node.children.findLast((c) => Buffer.compare(c.firstName, name) <= 0);
    return child === undefined ? undefined : this.#child(child.id, name, levels - 1);
  }
}

/**
 * Follows the previous tree beside a new capture: entries are asked for in the same order, so that each directory is read
 * once. A damaged previous tree means "unknown", never a failure of the new backup.
 */
export class PreviousTree {
  readonly #reader: TreeReader;
  readonly #root: Buffer | undefined;
  readonly #stack: { name: Buffer; entries: Map<string, TreeEntry> }[] = [];
  #rootEntries: Map<string, TreeEntry> | undefined;

  constructor(reader: TreeReader, root: Buffer | undefined) {
    this.#reader = reader;
    this.#root = root;
  }

  async find(path: readonly Buffer[]): Promise<TreeEntry | undefined> {
    if (this.#root === undefined) return undefined;
    this.#rootEntries ??= await this.#load(this.#root);
    let entries = this.#rootEntries;
    for (let depth = 0; depth < path.length - 1; depth++) {
      const name = path[depth] as Buffer;
      const open = this.#stack[depth];
      if (open?.name.equals(name) === true) {
        entries = open.entries;
        continue;
      }
      const entry = entries.get(name.toString('latin1'));
      if (entry?.type !== 'directory') return undefined;
      this.#stack.length = depth;
      entries = await this.#load(entry.tree);
      this.#stack.push({ name, entries });
    }
    return entries.get((path.at(-1) as Buffer).toString('latin1'));
  }

  async #load(tree: Buffer): Promise<Map<string, TreeEntry>> {
    const entries = new Map<string, TreeEntry>();
    try {
      for await (const entry of this.#reader.entries(tree)) entries.set(entry.name.toString('latin1'), entry);
    } catch (error) {
      if (error instanceof BackupError && error.code === 'FORMAT_TOO_NEW') throw error;
      entries.clear();
    }
    return entries;
  }
}
