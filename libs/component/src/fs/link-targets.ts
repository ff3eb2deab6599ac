import type { RestoreEntry } from '../port.ts';
import { sameXattrs } from './xattrs.ts';

/**
 * Remembers where files with several names were restored. A name becomes a link only to a file with the same content and
 * metadata: what a backup calls one file may have changed between its names, and nothing of it may be lost.
 */
export class LinkTargets<Where> {
  private readonly files = new Map<string, { entry: Omit<RestoreEntry, 'content'>; where: Where }>();

  find(entry: Omit<RestoreEntry, 'content'>): Where | undefined {
    if (!entry.link) return undefined;
    const known = this.files.get(keyOf(entry.link.id));
    return known && sameFile(known.entry, entry) ? known.where : undefined;
  }

  /** The names that follow are linked to this one. */
  add(entry: Omit<RestoreEntry, 'content'>, where: Where): void {
    if (!entry.link) return;
    const { path, kind, meta, size, sha256, blockSha256 } = entry;
    const digest = { ...(sha256 ? { sha256 } : {}), ...(blockSha256 ? { blockSha256 } : {}) };
    this.files.set(keyOf(entry.link.id), { entry: { path, kind, meta, size, ...digest }, where });
  }
}

function keyOf(id: Uint8Array): string {
  return Buffer.from(id).toString('latin1');
}

function sameFile(a: Omit<RestoreEntry, 'content'>, b: Omit<RestoreEntry, 'content'>): boolean {
  const sameMeta =
    a.meta.mode === b.meta.mode &&
    a.meta.uid === b.meta.uid &&
    a.meta.gid === b.meta.gid &&
    a.meta.mtimeNs === b.meta.mtimeNs &&
    sameXattrs(a.meta.xattrs ?? [], b.meta.xattrs ?? []);
  return sameMeta && a.size === b.size && sameBytes(a.sha256, b.sha256) && sameBytes(a.blockSha256, b.blockSha256);
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}
