import type { ContentDigest } from '@foodsave-backup/kernel';
import { decodeName, encodeName, type EntryMeta, type PreviousEntry, type Xattr } from '@foodsave-backup/component';
import type { FileEntry, TreeEntry, TreeMeta, TreeXattr } from '@foodsave-backup/repository';

export function toTreeMeta({ mode, uid, gid, mtimeNs, ctimeNs, inode, xattrs }: EntryMeta): TreeMeta {
  const meta: TreeMeta = { mode, uid, gid, mtimeNs };
  if (ctimeNs !== undefined) meta.ctimeNs = ctimeNs;
  if (inode !== undefined) meta.inode = inode;
  if (xattrs !== undefined) meta.xattrs = xattrs.map(toTreeXattr);
  return meta;
}

function toTreeXattr({ name, value }: Xattr): TreeXattr {
  return { name: encodeName(name), value: Buffer.from(value.buffer, value.byteOffset, value.byteLength) };
}

export function toEntryMeta(entry: TreeEntry): EntryMeta {
  const { mode, mtimeNs, ctimeNs, inode } = entry;
  const base: EntryMeta = { mode, mtimeNs, uid: entry.uid ?? 0, gid: entry.gid ?? 0 };
  if (ctimeNs !== undefined) base.ctimeNs = ctimeNs;
  if (inode !== undefined) base.inode = inode;
  if (entry.xattrs) base.xattrs = entry.xattrs.map(({ name, value }) => ({ name: decodeName(name), value }));
  return base;
}

/** The hash that a file has. */
export function digestOf({ sha256, blockSha256 }: FileEntry): ContentDigest {
  if (blockSha256 !== undefined) return { blockSha256 };
  return sha256 === undefined ? {} : { sha256 };
}

export function toPrevious(entry: TreeEntry | undefined): PreviousEntry | undefined {
  if (entry === undefined) return undefined;
  const previous: PreviousEntry = {
    kind: entry.type,
    size: entry.type === 'file' ? entry.size : 0,
    meta: toEntryMeta(entry),
  };
  if (entry.type !== 'file') return previous;
  if (entry.blockSha256 !== undefined) previous.blockSha256 = entry.blockSha256;
  else if (entry.sha256 !== undefined) previous.sha256 = entry.sha256;
  return previous;
}
