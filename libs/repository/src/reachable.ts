import { BackupError } from '@foodsave-backup/kernel';
import type { ExtentList, FileEntry, Manifest } from '@foodsave-backup/format';
import { BLOB_KIND, decodeExtentNode, LIMITS, malformed, pageHashesId, decodeTreeNode } from '@foodsave-backup/format';
import type { BlobIndex, PackRef } from './blob-index.ts';
import type { BlobReader } from './blob-reader.ts';
import type { Repository } from './repository.ts';
import { Usage } from './usage.ts';

/** A node or a content blob that a backup needs and that cannot be had. */
export interface Missing {
  /** Path of the file or directory, names joined by `/`. */
  path: string;
  reason: string;
  /** The storage could not be read just now: nothing is known of what lies there. */
  unread: boolean;
}

/**
 * Marks what backups need. Nodes that were seen are not walked again, so that the cost over many backups is that of what
 * differs between them.
 */
export class Marker {
  readonly #index: BlobIndex;
  readonly #blobs: BlobReader;
  readonly #repository: Repository;
  /** Ids (latin1) of tree and extent nodes below which everything is present. */
  readonly #done = new Set<string>();
  readonly #used = new Set<string>();
  /** What the marked backups need of each blob, also of what is missing. */
  readonly usage = new Usage();

  constructor(repository: Repository, index: BlobIndex, blobs: BlobReader) {
    this.#repository = repository;
    this.#index = index;
    this.#blobs = blobs;
  }

  /** Hex hashes of the packs that marked backups need. */
  get usedPacks(): ReadonlySet<string> {
    return this.#used;
  }

  /** Walks every component of a backup; `missing` is told of each file or directory that is not whole. */
  async mark(
    manifest: Manifest,
    missing: (instance: string, what: Missing) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    for (const [instance, component] of Object.entries(manifest.components)) {
      if (component.root === undefined) continue;
      signal?.throwIfAborted();
      await this.#tree(Buffer.from(component.root, 'hex'), '', LIMITS.nodeLevels, 0, (what) => {
        missing(instance, what);
      });
    }
  }

  async #tree(
    id: Buffer,
    path: string,
    levels: number,
    depth: number,
    missing: (what: Missing) => void,
  ): Promise<boolean> {
    const key = id.toString('latin1');
    if (this.#done.has(key)) return true;
    let whole = this.#use(id);
    try {
      if (depth > 1024 || levels < 0) throw malformed('a tree is too deep');
      const node = decodeTreeNode(await this.#blobs.read(id));
      if (!node.leaf) {
        for (const child of node.children)
          whole = (await this.#tree(child.id, path, levels - 1, depth, missing)) && whole;
      } else {
        for (const entry of node.entries) {
          const here = path === '' ? entry.name.toString('utf8') : `${path}/${entry.name.toString('utf8')}`;
          if (entry.type === 'directory') {
            whole = (await this.#tree(entry.tree, here, LIMITS.nodeLevels, depth + 1, missing)) && whole;
          } else if (entry.type === 'file') {
            whole = (await this.#file(entry, here, missing)) && whole;
          }
        }
      }
    } catch (error) {
      missing({ path: path === '' ? '/' : path, ...reasonOf(error) });
      return false;
    }
    if (whole) this.#done.add(key);
    return whole;
  }

  async #file(entry: FileEntry, path: string, missing: (what: Missing) => void): Promise<boolean> {
    try {
      const whole =
        entry.extents === undefined
          ? entry.extentRoot === undefined || (await this.#extents(entry.extentRoot, LIMITS.nodeLevels))
          : this.#list(entry.extents);
      if (!whole) missing({ path, reason: 'a part of it is missing from the repository', unread: false });
      return whole;
    } catch (error) {
      missing({ path, ...reasonOf(error) });
      return false;
    }
  }

  async #extents(id: Buffer, levels: number): Promise<boolean> {
    const key = id.toString('latin1');
    if (this.#done.has(key)) return true;
    let whole = this.#use(id);
    const node = decodeExtentNode(await this.#blobs.read(id), levels);
    if ('list' in node) whole = this.#list(node.list) && whole;
    else for (const child of node.children) whole = (await this.#extents(child.id, node.level - 1)) && whole;
    if (whole) this.#done.add(key);
    return whole;
  }

  #list({ unit, extents }: ExtentList): boolean {
    let whole = true;
    for (const { blob, offset, length } of extents) {
      if (blob === undefined) continue;
      const from = offset * unit;
      const to = from + length * unit;
      this.usage.addRange(blob, from, to);
      if (!this.#find(blob) || !this.#index.hasRange(blob, from, to)) whole = false;
    }
    return whole;
  }

  /** A node, which is read as a whole. */
  #use(id: Buffer): boolean {
    this.usage.addWhole(id);
    return this.#find(id);
  }

  /** Notes where a blob lies; page hashes go with their pages. False when it is nowhere. */
  #find(id: Buffer): boolean {
    const location = this.#index.get(id);
    if (location === undefined) return false;
    this.#used.add(location.pack.hash.toString('hex'));
    if (location.blob.kind === BLOB_KIND.pages) {
      const hashesId = pageHashesId(this.#repository.keys, id);
      const hashes = this.#index.get(hashesId);
      if (hashes === undefined) return true;
      this.usage.addWhole(hashesId);
      this.#used.add(hashes.pack.hash.toString('hex'));
    }
    return true;
  }
}

export function unusedPacks(index: BlobIndex, used: ReadonlySet<string>): PackRef[] {
  return [...index.packs()].filter((pack) => !used.has(pack.hash.toString('hex')));
}

function reasonOf(error: unknown): Pick<Missing, 'reason' | 'unread'> {
  let unread = false;
  for (let cause: unknown = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    unread ||= cause instanceof BackupError && cause.code === 'IO_ERROR' && cause.details?.['notFound'] !== true;
  }
  return { reason: error instanceof Error ? error.message : 'unreadable', unread };
}
