import { closeSync } from 'node:fs';
import type { Blobs } from './blobs.ts';
import { content } from './content.ts';
import { Comparison } from './digest.ts';
import { PlaceProblem, type Target } from './place.ts';
import { printable } from './text.ts';
import { walkTree, type DirectoryEntry, type FileEntry, type LinkEntry, type Visitor } from './trees.ts';
import type { DamagedPath, Tally } from './verify.ts';

interface Written {
  /** Bytes that could be read. */
  readonly recovered: number;
  /** Why the file is not whole; undefined when it is. */
  readonly damage: string | undefined;
}

/** Lays out the components of a backup below the target, and goes on past what is damaged. */
export class Restorer implements Visitor {
  readonly damaged: DamagedPath[] = [];
  readonly tally: Tally = { files: 0, directories: 0, links: 0, pipes: 0, bytes: 0 };
  private readonly blobs: Blobs;
  private readonly target: Target;
  private readonly onBytes: (bytes: number) => void;
  private instance = '';
  /** What says that two names are one file → where it was written. */
  private readonly names = new Map<string, Buffer>();
  private group = '';
  private first: Buffer = Buffer.alloc(0);

  constructor(blobs: Blobs, target: Target, onBytes: (bytes: number) => void) {
    this.blobs = blobs;
    this.target = target;
    this.onBytes = onBytes;
  }

  component(instance: string, root: Buffer): void {
    this.instance = instance;
    walkTree(this.blobs, root, this);
  }

  enter(path: Buffer): boolean {
    return this.place(path, () => {
      this.target.directory(this.target.path(path));
      this.tally.directories += 1;
    });
  }

  leave(path: Buffer, entry: DirectoryEntry): void {
    this.place(path, () => this.target.finishDirectory(this.target.path(path), entry));
  }

  link(path: Buffer, entry: LinkEntry): void {
    this.place(path, () => {
      const at = this.target.path(path);
      if (this.target.stat(at))
        throw new PlaceProblem('another entry of the backup has this name; the link was left out');
      this.target.link(at, entry.target, entry);
      this.tally.links += 1;
    });
  }

  file(path: Buffer, entry: FileEntry): void {
    this.place(path, () => {
      const at = this.target.path(path);
      const existing = this.target.stat(at);
      if (!existing) {
        if (this.linked(path, at, entry)) return;
        return this.newFile(path, at, entry);
      }
      // Two components may hold the same file, or two names may be one on this file system.
      if (existing.isFile() && existing.size === entry.size && this.target.holds(at, entry.digest)) {
        this.tally.files += 1;
        return;
      }
      const other = `.from-${this.instance.replace(/[^A-Za-z0-9_-]/g, '-')}`;
      const aside = Buffer.concat([at, Buffer.from(other)]);
      if (this.target.stat(aside))
        throw new PlaceProblem('another entry of the backup has this name; the file was left out');
      this.newFile(Buffer.concat([path, Buffer.from(other)]), aside, entry);
      this.damagedAt(
        path,
        `another entry of the backup has this name; the file was written with "${other}" after its name`,
      );
    });
  }

  pipe(): void {
    this.tally.pipes += 1;
  }

  damagedAt(path: Buffer, reason: string): void {
    this.damaged.push({ instance: this.instance, path: printable(path), reason });
  }

  /** Gives a file that was written already another name, when the backup says that it is the same one. */
  private linked(path: Buffer, at: Buffer, entry: FileEntry): boolean {
    const { link, digest, size, mode, mtime, uid, gid } = entry;
    if (!link) return false;
    const key = [link, digest.sha256].map((bytes) => bytes.toString('hex'));
    this.group = [this.instance, ...key, size, mode, mtime, uid, gid].join(' ');
    const first = this.names.get(this.group);
    if (!first) {
      this.first = path;
      return false;
    }
    if (!this.target.hardLink(this.target.path(first), at)) return false;
    this.tally.files += 1;
    this.tally.bytes += size;
    this.onBytes(size);
    return true;
  }

  private newFile(path: Buffer, at: Buffer, entry: FileEntry): void {
    const fd = this.target.openTemporary();
    let open = true;
    try {
      const { recovered, damage } = this.writeContent(fd, entry);
      this.target.finish(fd, entry.size, entry);
      if (damage === undefined) {
        this.target.moveTemporary(at);
        if (entry.link) this.names.set(this.group, this.first);
        this.tally.files += 1;
        closeSync(fd);
        open = false;
        return;
      }
      const kept = recovered > 0 && this.keepDamaged(at);
      const fate = kept ? `kept as "${printable(path)}.damaged" with zeros in place of what is lost` : 'not restored';
      this.damagedAt(path, `${damage}; ${fate}`);
    } finally {
      if (open) this.target.dropTemporary(fd);
    }
  }

  private keepDamaged(at: Buffer): boolean {
    const aside = Buffer.concat([at, Buffer.from('.damaged')]);
    try {
      if (this.target.stat(aside)) return false;
      this.target.moveTemporary(aside);
      return true;
    } catch (error) {
      if (!(error instanceof PlaceProblem)) throw error;
      return false;
    }
  }

  /** Writes what can be read and compares the SHA-256 of the whole. */
  private writeContent(fd: number, entry: FileEntry): Written {
    const comparison = new Comparison(entry.digest);
    let at = 0;
    let lost = 0;
    let recovered = 0;
    let reason = '';
    for (const piece of content(this.blobs, entry, () => undefined)) {
      if ('lost' in piece) {
        lost += piece.length;
        reason = reason === '' ? piece.lost : reason;
      } else if ('bytes' in piece) {
        this.target.write(fd, piece.bytes, at);
        recovered += piece.length;
        if (reason === '') comparison.bytes(piece.bytes);
      } else if (reason === '') {
        comparison.zeros(piece.length);
      }
      at += piece.length;
      this.onBytes(piece.length);
    }
    this.tally.bytes += at - lost;
    if (reason !== '') return { recovered, damage: `${lost} of ${entry.size} bytes are lost: ${reason}` };
    return { recovered, damage: comparison.isWhole() ? undefined : 'its content is not what was backed up (SHA-256)' };
  }

  private place(path: Buffer, act: () => void): boolean {
    try {
      act();
      return true;
    } catch (error) {
      if (!(error instanceof PlaceProblem)) throw error;
      this.damagedAt(path, `cannot be written here: ${error.message}`);
      return false;
    }
  }
}
