import { BackupError } from '@foodsave-backup/kernel';
import {
  decodeTreeNode,
  decodeTreeRecords,
  LIMITS,
  malformed,
  type TreeEntry,
  type TreeRecord,
} from '@foodsave-backup/format';
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
    for await (const records of this.records(tree, levels, order)) for (const { entry } of records) yield entry;
  }

  /** The entries of one directory as they are stored, ascending, in runs. */
  async *records(
    tree: Buffer,
    levels: number = LIMITS.nodeLevels,
    order: { last: Buffer | undefined } = { last: undefined },
  ): AsyncGenerator<readonly TreeRecord[]> {
    const node = decodeTreeRecords(await this.#blobs.read(tree));
    if ('children' in node) {
      if (levels === 0) throw malformed('a tree index is too deep');
      for (const child of node.children) yield* this.records(child.id, levels - 1, order);
      return;
    }
    const [first] = node.records;
    if (first !== undefined && order.last !== undefined && Buffer.compare(order.last, first.entry.name) >= 0)
      throw malformed('names out of order');
    order.last = node.records.at(-1)?.entry.name ?? order.last;
    yield node.records;
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
  readonly #stack: { name: Buffer; records: Records }[] = [];
  #rootRecords: Records | undefined;
  #loading: Promise<unknown> = Promise.resolve();

  constructor(reader: TreeReader, root: Buffer | undefined) {
    this.#reader = reader;
    this.#root = root;
  }

  /** `path`: the names of the directories on the way are those of one array, as long as they are the same. */
  find(path: readonly Buffer[]): TreeRecord | undefined | Promise<TreeRecord | undefined> {
    if (this.#root === undefined) return undefined;
    const records = this.#loaded(path);
    return records === 'not loaded' ? this.#inTurn(path) : records?.get((path.at(-1) as Buffer).toString('latin1'));
  }

  /** Who asks for many names of a directory at once reads it once. */
  #inTurn(path: readonly Buffer[]): Promise<TreeRecord | undefined> {
    const found = this.#loading.then(() => this.#load(path));
    this.#loading = found.catch(() => undefined);
    return found;
  }

  /** The records of the directory of a path, where they were read before. */
  #loaded(path: readonly Buffer[]): Records | 'not loaded' | undefined {
    let records = this.#rootRecords;
    if (records === undefined) return 'not loaded';
    for (let depth = 0; depth < path.length - 1; depth++) {
      const name = path[depth] as Buffer;
      const open = this.#stack[depth];
      if (open === undefined || !(open.name === name || open.name.equals(name))) {
        return records.get(name.toString('latin1'))?.entry.type === 'directory' ? 'not loaded' : undefined;
      }
      records = open.records;
    }
    return records;
  }

  async #load(path: readonly Buffer[]): Promise<TreeRecord | undefined> {
    this.#rootRecords ??= await this.#read(this.#root as Buffer);
    let records = this.#rootRecords;
    for (let depth = 0; depth < path.length - 1; depth++) {
      const name = path[depth] as Buffer;
      const open = this.#stack[depth];
      if (open?.name.equals(name) === true) {
        records = open.records;
        continue;
      }
      const entry = records.get(name.toString('latin1'))?.entry;
      if (entry?.type !== 'directory') return undefined;
      this.#stack.length = depth;
      records = await this.#read(entry.tree);
      this.#stack.push({ name, records });
    }
    return records.get((path.at(-1) as Buffer).toString('latin1'));
  }

  async #read(tree: Buffer): Promise<Records> {
    const records: Records = new Map();
    try {
      for await (const run of this.#reader.records(tree))
        for (const record of run) records.set(record.entry.name.toString('latin1'), record);
    } catch (error) {
      if (error instanceof BackupError && error.code === 'FORMAT_TOO_NEW') throw error;
      records.clear();
    }
    return records;
  }
}

/** Of one directory, by name, a character for each byte. */
type Records = Map<string, TreeRecord>;
