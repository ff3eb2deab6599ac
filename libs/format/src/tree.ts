import { ByteReader, ByteWriter, idOf, malformed, numberOf, readFields, unknownField, zigzagOf } from './bytes.ts';
import { decodeExtents, encodeExtents, type ExtentList } from './extents.ts';
import { LIMITS } from './limits.ts';

export interface TreeMeta {
  mode: number;
  mtimeNs: bigint;
  uid?: number;
  gid?: number;
  ctimeNs?: bigint;
  inode?: bigint;
  /** Ascending by name. Empty when it has none, absent when nobody looked. */
  xattrs?: readonly TreeXattr[];
}

/** An extended attribute. ACLs are some of them, as the kernel gives them (`system.posix_acl_access`). */
export interface TreeXattr {
  name: Buffer;
  value: Buffer;
}

interface EntryBase extends TreeMeta {
  /** Bytes as on disk: not empty, not `.` or `..`, without `/` and NUL. */
  name: Buffer;
}

export interface FileEntry extends EntryBase {
  type: 'file';
  size: number;
  /** Of the content, or else `blockSha256`. */
  sha256?: Buffer;
  /** See `BlockHash`: of files with long holes. */
  blockSha256?: Buffer;
  /** Neither for an empty file, else one of the two. */
  extents?: ExtentList;
  extentRoot?: Buffer;
  /** Bytes; only of a file kept by page. */
  pageSize?: number;
  changedWhileRead?: boolean;
  /** Equal for all names of one file within a component, 1 to 32 bytes; absent for a file with one name. */
  link?: Buffer;
  /** Bytes of the content that are holes, which need no room when it is restored; absent for none. */
  holeBytes?: number;
}

export interface DirectoryEntry extends EntryBase {
  type: 'directory';
  tree: Buffer;
  /** Files and bytes below it. */
  files?: number;
  bytes?: number;
  /** Only a place on the way to what was captured: its mode and time mean nothing. */
  implied?: boolean;
}

export interface LinkEntry extends EntryBase {
  type: 'symlink';
  target: Buffer;
}

/** A named pipe. */
export interface FifoEntry extends EntryBase {
  type: 'fifo';
}

export type TreeEntry = FileEntry | DirectoryEntry | LinkEntry | FifoEntry;

export interface TreeChild {
  id: Buffer;
  firstName: Buffer;
}

export type TreeNode = { leaf: true; entries: TreeEntry[] } | { leaf: false; children: TreeChild[] };

const TYPE_CODE = { file: 1, directory: 2, symlink: 3, fifo: 4 } as const;

export function encodeEntry(entry: TreeEntry): Buffer {
  const w = new ByteWriter(192)
    .field(1, entry.name)
    .numberField(3, TYPE_CODE[entry.type])
    .numberField(5, entry.mode)
    .zigzagField(7, entry.mtimeNs);
  if (entry.uid !== undefined) w.numberField(2, entry.uid);
  if (entry.gid !== undefined) w.numberField(4, entry.gid);
  if (entry.ctimeNs !== undefined) w.zigzagField(8, entry.ctimeNs);
  if (entry.inode !== undefined) w.zigzagField(10, BigInt.asIntN(64, entry.inode));
  if (entry.xattrs !== undefined) w.field(22, encodeXattrs(entry.xattrs));
  switch (entry.type) {
    case 'file':
      encodeFile(w, entry);
      break;
    case 'directory':
      w.field(17, entry.tree);
      if (entry.files !== undefined) w.numberField(14, entry.files);
      if (entry.bytes !== undefined) w.numberField(16, entry.bytes);
      if (entry.implied === true) w.numberField(18, 1);
      break;
    case 'symlink':
      w.field(19, entry.target);
      break;
    case 'fifo':
      break;
  }
  return w.finish();
}

function encodeFile(w: ByteWriter, entry: FileEntry): void {
  w.numberField(9, entry.size);
  if (entry.sha256 !== undefined) w.field(11, entry.sha256);
  if (entry.blockSha256 !== undefined) w.field(21, entry.blockSha256);
  if (entry.extents !== undefined) w.field(13, encodeExtents(entry.extents));
  if (entry.extentRoot !== undefined) w.field(15, entry.extentRoot);
  if (entry.pageSize !== undefined) w.numberField(6, entry.pageSize);
  if (entry.changedWhileRead === true) w.numberField(12, 1);
  if (entry.link !== undefined) w.field(20, entry.link);
  if (entry.holeBytes !== undefined) w.numberField(24, entry.holeBytes);
}

/** Each: `varint` length of the name, the name, `varint` length of the value, the value. */
function encodeXattrs(xattrs: readonly TreeXattr[]): Buffer {
  const w = new ByteWriter(64);
  for (const { name, value } of xattrs) w.varint(name.length).bytes(name).varint(value.length).bytes(value);
  return w.finish();
}

function decodeXattrs(bytes: Uint8Array): TreeXattr[] {
  if (bytes.length > LIMITS.xattrBytes) throw malformed('the extended attributes of an entry are too large');
  const reader = new ByteReader(bytes);
  const xattrs: TreeXattr[] = [];
  while (reader.remaining > 0) {
    const name = reader.bytes(reader.varint());
    const value = reader.bytes(reader.varint());
    const last = xattrs.at(-1);
    const misplaced = last !== undefined && Buffer.compare(last.name, name) >= 0;
    if (name.length === 0 || name.length > 255 || name.includes(0) || misplaced)
      throw malformed('the name of an extended attribute');
    xattrs.push({ name, value });
  }
  return xattrs;
}

/** A leaf from entries that `encodeEntry` made, in ascending order of their names. */
export function encodeTreeLeaf(encodedEntries: readonly Uint8Array[]): Buffer {
  const w = new ByteWriter(encodedEntries.reduce((sum, e) => sum + e.length + 4, 8)).numberField(1, 0);
  for (const entry of encodedEntries) w.field(3, entry);
  return w.finish();
}

export function encodeTreeIndex(children: readonly TreeChild[]): Buffer {
  const w = new ByteWriter(children.length * 64).numberField(1, 1);
  for (const child of children) w.field(5, Buffer.concat([child.id, child.firstName]));
  return w.finish();
}

/** Parses a node and refuses names that are unsafe or out of order: a hostile repository must not reach the file system. */
export function decodeTreeNode(bytes: Uint8Array): TreeNode {
  let kind: number | undefined;
  const entries: TreeEntry[] = [];
  const children: TreeChild[] = [];
  for (const [tag, value] of readFields(bytes, [1])) {
    if (tag === 1) kind = numberOf(value);
    else if (tag === 3) {
      const entry = decodeEntry(value);
      const previous = entries.at(-1);
      if (previous !== undefined && Buffer.compare(previous.name, entry.name) >= 0)
        throw malformed('names out of order');
      entries.push(entry);
    } else if (tag === 5) {
      const reader = new ByteReader(value);
      children.push({ id: idOf(reader.bytes(32)), firstName: reader.bytes(reader.remaining) });
    } else unknownField(tag, 'a tree node');
  }
  if (kind === 0 && children.length === 0) return { leaf: true, entries };
  if (kind === 1 && entries.length === 0 && children.length > 0) return { leaf: false, children };
  throw malformed('a tree node');
}

type Fields = Map<number, Buffer>;

const ENTRY_TAGS = new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 24]);

function decodeEntry(record: Uint8Array): TreeEntry {
  const fields: Fields = new Map();
  for (const [tag, value] of readFields(record)) {
    if (!ENTRY_TAGS.has(tag)) unknownField(tag, 'a tree entry');
    else if (fields.has(tag)) throw malformed('a field of a tree entry occurs twice');
    else fields.set(tag, value);
  }
  const name = required(fields, 1);
  assertName(name);
  const mode = numberOf(required(fields, 5));
  if (mode > 0o7777) throw malformed('mode of a tree entry');
  const base: EntryBase = { name, mode, mtimeNs: zigzagOf(required(fields, 7)) };
  const uid = fields.get(2);
  const gid = fields.get(4);
  const ctime = fields.get(8);
  const inode = fields.get(10);
  if (uid) base.uid = numberOf(uid);
  if (gid) base.gid = numberOf(gid);
  if (ctime) base.ctimeNs = zigzagOf(ctime);
  if (inode) base.inode = BigInt.asUintN(64, zigzagOf(inode));
  const xattrs = fields.get(22);
  if (xattrs) base.xattrs = decodeXattrs(xattrs);
  const type = numberOf(required(fields, 3));
  if (type === TYPE_CODE.file) return decodeFile(base, fields);
  if (type === TYPE_CODE.symlink) return { ...base, type: 'symlink', target: required(fields, 19) };
  if (type === TYPE_CODE.fifo) return { ...base, type: 'fifo' };
  if (type !== TYPE_CODE.directory) throw malformed(`unknown entry type ${type}`);
  const entry: DirectoryEntry = { ...base, type: 'directory', tree: idOf(required(fields, 17)) };
  const files = fields.get(14);
  const bytes = fields.get(16);
  if (files) entry.files = numberOf(files);
  if (bytes) entry.bytes = numberOf(bytes);
  if (fields.has(18)) entry.implied = true;
  return entry;
}

function decodeFile(base: EntryBase, fields: Fields): FileEntry {
  const entry: FileEntry = { ...base, type: 'file', size: numberOf(required(fields, 9)) };
  const blocks = fields.get(21);
  if (blocks) entry.blockSha256 = idOf(blocks);
  else entry.sha256 = idOf(required(fields, 11));
  if (blocks && fields.has(11)) throw malformed('a file has two hashes');
  const extents = fields.get(13);
  const root = fields.get(15);
  const pageSize = fields.get(6);
  if (extents) entry.extents = decodeExtents(extents);
  if (root) entry.extentRoot = idOf(root);
  if (pageSize) entry.pageSize = numberOf(pageSize);
  if (fields.has(12)) entry.changedWhileRead = true;
  const link = fields.get(20);
  const holes = fields.get(24);
  if (link) entry.link = link;
  if (link && (link.length === 0 || link.length > 32)) throw malformed('the link of a file');
  if (holes) entry.holeBytes = numberOf(holes);
  const sources = (extents ? 1 : 0) + (root ? 1 : 0);
  if (sources !== (entry.size === 0 ? 0 : 1)) throw malformed('content of a file');
  return entry;
}

function required(fields: Fields, tag: number): Buffer {
  const value = fields.get(tag);
  if (value === undefined) throw malformed(`a tree entry lacks field ${tag}`);
  return value;
}

const SLASH = 0x2f;

function assertName(name: Buffer): void {
  const dots = name.length <= 2 && name.every((byte) => byte === 0x2e);
  if (name.length === 0 || name.length > 255 || dots || name.includes(SLASH) || name.includes(0)) {
    throw malformed('an unsafe name in a tree');
  }
}
