import { Cursor, Fields } from './bytes.ts';
import { KIND, type Blobs } from './blobs.ts';
import type { Digest } from './digest.ts';
import { Damage } from './errors.ts';
import { printable } from './text.ts';

const MAX_LEVELS = 8;
/** The format allows 1,024; a little more does no harm. */
const MAX_DEPTH = 2048;

export interface EntryBase {
  readonly name: Buffer;
  /** Permission bits 07777; undefined when the backup does not say. */
  readonly mode: number | undefined;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Names of its extended attributes, which nothing in Node.js can set. */
  readonly attributes: readonly string[];
}

export interface FileEntry extends EntryBase {
  readonly type: 'file';
  readonly size: number;
  readonly digest: Digest;
  /** The same for all names of one file. */
  readonly link: Buffer | undefined;
  readonly extents: Buffer | undefined;
  readonly extentRoot: Buffer | undefined;
  readonly changedWhileRead: boolean;
}

export interface DirectoryEntry extends EntryBase {
  readonly type: 'directory';
  readonly node: Buffer;
}

interface PipeEntry extends EntryBase {
  readonly type: 'pipe';
}

export interface LinkEntry extends EntryBase {
  readonly type: 'link';
  readonly target: Buffer;
}

type Entry = FileEntry | DirectoryEntry | LinkEntry | PipeEntry;

/** What `walkTree` reports. Paths are bytes, relative, with `/` between names. */
export interface Visitor {
  /** Returns false to leave the directory out. */
  enter(path: Buffer, entry: DirectoryEntry): boolean;
  leave(path: Buffer, entry: DirectoryEntry): void;
  file(path: Buffer, entry: FileEntry): void;
  link(path: Buffer, entry: LinkEntry): void;
  pipe(path: Buffer, entry: PipeEntry): void;
  /** Entries at or below `path` cannot be read. */
  damagedAt(path: Buffer, reason: string): void;
}

/** Visits all entries below the directory `node`, depth first, and goes on past damage. */
export function walkTree(
  blobs: Blobs,
  node: Buffer,
  visitor: Visitor,
  path: Buffer = Buffer.alloc(0),
  depth = 0,
): void {
  const onDamage = (reason: string): void => visitor.damagedAt(path, reason);
  for (const entry of entries(blobs, node, onDamage)) {
    const below = path.length === 0 ? entry.name : Buffer.concat([path, Buffer.from('/'), entry.name]);
    if (entry.type === 'file') visitor.file(below, entry);
    else if (entry.type === 'link') visitor.link(below, entry);
    else if (entry.type === 'pipe') visitor.pipe(below, entry);
    else if (depth + 1 >= MAX_DEPTH) visitor.damagedAt(below, 'the directories are nested too deeply');
    else if (visitor.enter(below, entry)) {
      walkTree(blobs, entry.node, visitor, below, depth + 1);
      visitor.leave(below, entry);
    }
  }
}

function* entries(blobs: Blobs, root: Buffer, onDamage: (reason: string) => void): Generator<Entry> {
  let last: Buffer | undefined;
  for (const bytes of leafEntries(blobs, root, 0, undefined, onDamage)) {
    try {
      const entry = readEntry(bytes);
      if (last && Buffer.compare(last, entry.name) >= 0) {
        throw new Damage('an entry is out of order or occurs twice; it is left out');
      }
      last = entry.name;
      yield entry;
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      onDamage(error.message);
    }
  }
}

function* leafEntries(
  blobs: Blobs,
  id: Buffer,
  level: number,
  firstName: Buffer | undefined,
  onDamage: (reason: string) => void,
): Generator<Buffer> {
  let node: Fields;
  let isIndex: boolean;
  try {
    node = new Fields(blobs.whole(id, KIND.tree), 'a tree node', { once: [1], lists: [3, 5] });
    const type = node.number(1);
    isIndex = type === 1;
    const foreign = isIndex ? node.list(3) : node.list(5);
    if (type > 1 || foreign.length > 0) throw new Damage('a tree node is neither a leaf nor an index');
    if (isIndex && level >= MAX_LEVELS) throw new Damage('a directory has more levels than the format allows');
    checkFirstName(node, isIndex, firstName);
  } catch (error) {
    if (!(error instanceof Damage)) throw error;
    onDamage(error.message);
    return;
  }
  if (!isIndex) {
    yield* node.list(3);
    return;
  }
  for (const child of node.list(5)) {
    if (child.length < 33) onDamage('a child of a tree node is cut off');
    else yield* leafEntries(blobs, child.subarray(0, 32), level + 1, child.subarray(32), onDamage);
  }
}

/** A node must start with the name under which its parent lists it. */
function checkFirstName(node: Fields, isIndex: boolean, wanted: Buffer | undefined): void {
  if (!wanted) return;
  const first = isIndex ? node.list(5)[0]?.subarray(32) : firstEntryName(node.list(3)[0]);
  if (!first?.equals(wanted)) throw new Damage('a tree node is not the one that its parent names');
}

function firstEntryName(entry: Buffer | undefined): Buffer | undefined {
  if (!entry) return undefined;
  const cursor = new Cursor(entry, 'an entry');
  while (cursor.remaining > 0) {
    const tag = cursor.varint();
    const value = cursor.take(cursor.varint());
    if (tag === 1) return value;
  }
  return undefined;
}

const ENTRY_SHAPE = { once: [1, 2, 3, 4, 5, 7, 9, 11, 12, 13, 15, 17, 19, 20, 21, 22] };

function readEntry(bytes: Buffer): Entry {
  const fields = new Fields(bytes, 'an entry', ENTRY_SHAPE);
  const name = fields.bytes(1);
  checkName(name);
  const base: EntryBase = {
    name,
    mode: limited(fields, 5, 0o7777),
    mtime: fields.optionalSigned(7),
    uid: limited(fields, 2, 0xfffffffe),
    gid: limited(fields, 4, 0xfffffffe),
    attributes: fields.has(22) ? attributeNames(fields.bytes(22)) : [],
  };
  const type = fields.number(3);
  if (type === 1) return { ...base, type: 'file', ...fileFields(fields) };
  if (type === 2) return { ...base, type: 'directory', node: fields.bytes(17, 32) };
  if (type === 3) return { ...base, type: 'link', target: fields.bytes(19) };
  if (type === 4) return { ...base, type: 'pipe' };
  throw new Damage(`an entry has type ${type}, which only newer software understands`);
}

function fileFields(
  fields: Fields,
): Pick<FileEntry, 'size' | 'digest' | 'link' | 'extents' | 'extentRoot' | 'changedWhileRead'> {
  const size = fields.number(9);
  const sources = (fields.has(13) ? 1 : 0) + (fields.has(15) ? 1 : 0);
  if (sources !== (size === 0 ? 0 : 1)) throw new Damage('an entry of a file does not say where its content is');
  return {
    size,
    digest: readDigest(fields),
    link: fields.has(20) ? fields.bytes(20) : undefined,
    extents: fields.has(13) ? fields.bytes(13) : undefined,
    extentRoot: fields.has(15) ? fields.bytes(15, 32) : undefined,
    changedWhileRead: fields.optionalNumber(12) === 1,
  };
}

function readDigest(fields: Fields): Digest {
  if (!fields.has(21)) return { kind: 'whole', sha256: fields.bytes(11, 32) };
  if (fields.has(11)) throw new Damage('an entry of a file has two hashes');
  return { kind: 'blocks', sha256: fields.bytes(21, 32) };
}

const MAX_ATTRIBUTES = 256 * 1024;

function attributeNames(bytes: Buffer): string[] {
  if (bytes.length > MAX_ATTRIBUTES) throw new Damage('an entry has more extended attributes than the limits allow');
  const cursor = new Cursor(bytes, 'the extended attributes of an entry');
  const names: string[] = [];
  while (cursor.remaining > 0) {
    names.push(printable(cursor.take(cursor.varint())));
    cursor.take(cursor.varint());
  }
  return names;
}

function limited(fields: Fields, tag: number, highest: number): number | undefined {
  const value = fields.optionalNumber(tag);
  if (value !== undefined && value > highest) throw new Damage(`an entry has a field ${tag} beyond the limits`);
  return value;
}

/** A name is one step down, never up, away or to another place. */
function checkName(name: Buffer): void {
  const dots = name.equals(Buffer.from('.')) || name.equals(Buffer.from('..'));
  if (name.length === 0 || dots || name.includes(0x2f) || name.includes(0)) {
    throw new Damage('an entry has an unsafe name; it is left out');
  }
  // On Windows these would be other places, or other files, than they are elsewhere.
  if (process.platform === 'win32' && (/[\\:<>"|?*]/.test(name.toString()) || /[. ]$/.test(name.toString()))) {
    throw new Damage('an entry has a name that Windows cannot hold; it is left out');
  }
}
