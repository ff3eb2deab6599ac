import { ByteReader, ByteWriter, idOf, malformed, numberOf, readFields, unknownField } from './bytes.ts';
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
  const node = decodeTreeRecords(bytes);
  return 'records' in node ? { leaf: true, entries: node.records.map(({ entry }) => entry) } : node;
}

/** An entry, and its bytes as `encodeEntry` made them: a view of the node. */
export interface TreeRecord {
  entry: TreeEntry;
  encoded: Buffer;
}

/** The same, for who may store an entry again as it is. */
export function decodeTreeRecords(
  bytes: Uint8Array,
): { records: TreeRecord[] } | { leaf: false; children: TreeChild[] } {
  let kind: number | undefined;
  const records: TreeRecord[] = [];
  const children: TreeChild[] = [];
  for (const [tag, value] of readFields(bytes, [1])) {
    if (tag === 1) kind = numberOf(value);
    else if (tag === 3) {
      const entry = decodeEntry(value);
      const previous = records.at(-1)?.entry;
      if (previous !== undefined && Buffer.compare(previous.name, entry.name) >= 0)
        throw malformed('names out of order');
      records.push({ entry, encoded: value });
    } else if (tag === 5) {
      const reader = new ByteReader(value);
      children.push({ id: idOf(reader.bytes(32)), firstName: reader.bytes(reader.remaining) });
    } else unknownField(tag, 'a tree node');
  }
  if (kind === 0 && children.length === 0) return { records };
  if (kind === 1 && records.length === 0 && children.length > 0) return { leaf: false, children };
  throw malformed('a tree node');
}

/** What stands in the record of an entry, before it is known to make sense. */
interface Fields {
  name?: Buffer;
  type?: number;
  mode?: number;
  mtimeNs?: bigint;
  uid?: number;
  gid?: number;
  ctimeNs?: bigint;
  inode?: bigint;
  xattrs?: TreeXattr[];
  size?: number;
  sha256?: Buffer;
  blockSha256?: Buffer;
  extents?: ExtentList;
  extentRoot?: Buffer;
  pageSize?: number;
  link?: Buffer;
  holeBytes?: number;
  tree?: Buffer;
  files?: number;
  bytes?: number;
  target?: Buffer;
  changedWhileRead?: boolean;
  implied?: boolean;
}

type Parse = (fields: Fields, reader: ByteReader, length: number) => void;

/** By tag. One pass without a view for each field: a backup reads the entry of every file of the one before. */
const PARSERS: readonly (Parse | undefined)[] = [
  undefined,
  (f, r, n) => (f.name = r.bytes(n)),
  (f, r, n) => (f.uid = r.numberIn(n)),
  (f, r, n) => (f.type = r.numberIn(n)),
  (f, r, n) => (f.gid = r.numberIn(n)),
  (f, r, n) => (f.mode = r.numberIn(n)),
  (f, r, n) => (f.pageSize = r.numberIn(n)),
  (f, r, n) => (f.mtimeNs = r.zigzagIn(n)),
  (f, r, n) => (f.ctimeNs = r.zigzagIn(n)),
  (f, r, n) => (f.size = r.numberIn(n)),
  (f, r, n) => (f.inode = BigInt.asUintN(64, r.zigzagIn(n))),
  (f, r, n) => (f.sha256 = idOf(r.bytes(n))),
  (f, r, n) => (f.changedWhileRead = flag(r, n)),
  (f, r, n) => (f.extents = decodeExtents(r.bytes(n))),
  (f, r, n) => (f.files = r.numberIn(n)),
  (f, r, n) => (f.extentRoot = idOf(r.bytes(n))),
  (f, r, n) => (f.bytes = r.numberIn(n)),
  (f, r, n) => (f.tree = idOf(r.bytes(n))),
  (f, r, n) => (f.implied = flag(r, n)),
  (f, r, n) => (f.target = r.bytes(n)),
  (f, r, n) => (f.link = r.bytes(n)),
  (f, r, n) => (f.blockSha256 = idOf(r.bytes(n))),
  (f, r, n) => (f.xattrs = decodeXattrs(r.bytes(n))),
  undefined,
  (f, r, n) => (f.holeBytes = r.numberIn(n)),
];

/** What such a field holds does not matter, as long as it is there. */
function flag(reader: ByteReader, length: number): true {
  reader.bytes(length);
  return true;
}

function decodeEntry(record: Uint8Array): TreeEntry {
  const fields: Fields = {};
  const reader = new ByteReader(record);
  let seen = 0;
  while (reader.remaining > 0) {
    const tag = reader.varint();
    const length = reader.varint();
    const parse = PARSERS[tag];
    if (parse === undefined) {
      unknownField(tag, 'a tree entry');
      reader.bytes(length);
      continue;
    }
    if ((seen & (1 << tag)) !== 0) throw malformed('a field of a tree entry occurs twice');
    seen |= 1 << tag;
    parse(fields, reader, length);
  }
  const { type } = fields;
  const base = baseOf(fields);
  if (type === TYPE_CODE.file) return fileOf(base, fields);
  if (type === TYPE_CODE.symlink) return { ...base, type: 'symlink', target: fields.target ?? lacking(19) };
  if (type === TYPE_CODE.fifo) return { ...base, type: 'fifo' };
  if (type !== TYPE_CODE.directory) throw malformed(`unknown entry type ${type ?? 'none'}`);
  const entry: DirectoryEntry = { ...base, type: 'directory', tree: fields.tree ?? lacking(17) };
  if (fields.files !== undefined) entry.files = fields.files;
  if (fields.bytes !== undefined) entry.bytes = fields.bytes;
  if (fields.implied === true) entry.implied = true;
  return entry;
}

function baseOf({ name, mode, mtimeNs, uid, gid, ctimeNs, inode, xattrs }: Fields): EntryBase {
  assertName(name ?? lacking(1));
  if (mode !== undefined && mode > 0o7777) throw malformed('mode of a tree entry');
  const base: EntryBase = { name: name ?? lacking(1), mode: mode ?? lacking(5), mtimeNs: mtimeNs ?? lacking(7) };
  if (uid !== undefined) base.uid = uid;
  if (gid !== undefined) base.gid = gid;
  if (ctimeNs !== undefined) base.ctimeNs = ctimeNs;
  if (inode !== undefined) base.inode = inode;
  if (xattrs !== undefined) base.xattrs = xattrs;
  return base;
}

function fileOf(base: EntryBase, fields: Fields): FileEntry {
  const { size, sha256, blockSha256, extents, extentRoot, pageSize, link, holeBytes } = fields;
  const entry: FileEntry = { ...base, type: 'file', size: size ?? lacking(9) };
  if (blockSha256 !== undefined) entry.blockSha256 = blockSha256;
  else entry.sha256 = sha256 ?? lacking(11);
  if (blockSha256 !== undefined && sha256 !== undefined) throw malformed('a file has two hashes');
  if (extents !== undefined) entry.extents = extents;
  if (extentRoot !== undefined) entry.extentRoot = extentRoot;
  if (pageSize !== undefined) entry.pageSize = pageSize;
  if (fields.changedWhileRead === true) entry.changedWhileRead = true;
  if (link !== undefined) entry.link = link;
  if (link !== undefined && (link.length === 0 || link.length > 32)) throw malformed('the link of a file');
  if (holeBytes !== undefined) entry.holeBytes = holeBytes;
  const sources = (extents ? 1 : 0) + (extentRoot ? 1 : 0);
  if (sources !== (entry.size === 0 ? 0 : 1)) throw malformed('content of a file');
  return entry;
}

function lacking(tag: number): never {
  throw malformed(`a tree entry lacks field ${tag}`);
}

const SLASH = 0x2f;

function assertName(name: Buffer): void {
  const dots = name.length <= 2 && name.every((byte) => byte === 0x2e);
  if (name.length === 0 || name.length > 255 || dots || name.includes(SLASH) || name.includes(0)) {
    throw malformed('an unsafe name in a tree');
  }
}
