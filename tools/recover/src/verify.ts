import { KIND, pageHashesId, short, type Blobs } from './blobs.ts';
import { content } from './content.ts';
import { Comparison } from './digest.ts';
import { Damage } from './errors.ts';
import type { Extent } from './extents.ts';
import { sha256 } from './sealed.ts';
import { printable } from './text.ts';
import { walkTree, type FileEntry, type Visitor } from './trees.ts';

export interface DamagedPath {
  readonly instance: string;
  readonly path: string;
  readonly reason: string;
}

export interface Tally {
  files: number;
  directories: number;
  links: number;
  pipes: number;
  bytes: number;
}

/** Reads every byte that a backup needs: each pack, each blob, each file. */
export class Verifier implements Visitor {
  readonly damaged: DamagedPath[] = [];
  /** Damage that no file of the backup suffers from. */
  readonly otherDamage = new Set<string>();
  readonly tally: Tally = { files: 0, directories: 0, links: 0, pipes: 0, bytes: 0 };
  private readonly blobs: Blobs;
  private readonly onBytes: (bytes: number) => void;
  private readonly checkedPacks = new Set<string>();
  private readonly checkedBlobs = new Set<string>();
  private instance = '';

  constructor(blobs: Blobs, onBytes: (bytes: number) => void) {
    this.blobs = blobs;
    this.onBytes = onBytes;
    blobs.onPack = (name) => this.checkPack(name);
  }

  component(instance: string, root: Buffer): void {
    this.instance = instance;
    walkTree(this.blobs, root, this);
  }

  enter(): boolean {
    this.tally.directories += 1;
    return true;
  }

  leave(): void {
    // Nothing is written: a directory needs no finishing touch.
  }

  link(): void {
    this.tally.links += 1;
  }

  pipe(): void {
    this.tally.pipes += 1;
  }

  damagedAt(path: Buffer, reason: string): void {
    this.damaged.push({ instance: this.instance, path: printable(path), reason });
  }

  file(path: Buffer, entry: FileEntry): void {
    this.tally.files += 1;
    const comparison = new Comparison(entry.digest);
    let lost = '';
    for (const piece of content(this.blobs, entry, (extent) => this.checkBlob(extent))) {
      if ('lost' in piece) lost = lost === '' ? piece.lost : lost;
      else if (lost === '' && 'bytes' in piece) comparison.bytes(piece.bytes);
      else if (lost === '') comparison.zeros(piece.length);
      this.tally.bytes += 'lost' in piece ? 0 : piece.length;
      this.onBytes(piece.length);
    }
    if (lost === '' && !comparison.isWhole()) lost = 'its content is not what was backed up (SHA-256)';
    if (lost !== '') this.damagedAt(path, lost);
  }

  private checkPack(name: string): void {
    if (this.checkedPacks.has(name)) return;
    this.checkedPacks.add(name);
    try {
      this.blobs.packs.check(name);
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      this.otherDamage.add(error.message);
    }
  }

  /** All frames of a blob, also those that this backup does not need, and the page hashes that belong to it. */
  private checkBlob(extent: Extent): void {
    const id = extent.blob;
    if (!id) return;
    const key = id.toString('latin1');
    if (this.checkedBlobs.has(key)) return;
    this.checkedBlobs.add(key);
    try {
      const blob = this.blobs.describe(id, [KIND.data, KIND.pages]);
      blob.frames.forEach((_, number) => this.blobs.remains(id, number));
      if (blob.kind === KIND.pages && extent.unit > 1) this.checkPages(id, extent.unit);
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      this.otherDamage.add(error.message);
    }
  }

  private checkPages(id: Buffer, pageSize: number): void {
    const blob = this.blobs.describe(id, [KIND.pages]);
    const first = blob.frames[0]?.length ?? 0;
    const uneven = blob.frames.some((frame, i) => i < blob.frames.length - 1 && frame.length !== first);
    if (uneven || (blob.frames.length > 1 && first % pageSize !== 0)) {
      this.otherDamage.add(`blob ${short(id)} is not cut at whole pages`);
      return;
    }
    const hashesId = pageHashesId(this.blobs.keys, id);
    if (!this.blobs.has(hashesId)) return;
    const hashes = this.blobs.whole(hashesId, KIND.pageHashes);
    let at = 0;
    for (let number = 0; number < blob.frames.length; number++) {
      const left = this.blobs.remains(id, number);
      for (let page = 0; page < (blob.frames[number]?.length ?? 0); page += pageSize) {
        const end = page + pageSize;
        if (left === undefined || left.holes.some((hole) => hole.start < end && hole.end > page)) {
          at += 16;
          continue;
        }
        const hash = sha256(this.blobs.keys.pageHash, left.bytes.subarray(page, end));
        if (!hash.subarray(0, 16).equals(hashes.subarray(at, at + 16))) at = Number.NaN;
        at += 16;
      }
    }
    if (at !== hashes.length)
      this.otherDamage.add(`the page hashes of blob ${short(id)} do not fit (files are not affected)`);
  }
}
