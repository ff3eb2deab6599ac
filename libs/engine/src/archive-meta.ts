import { archiveInvalid, isJsonObject, type JsonValue, type RecordMeta } from '@foodsave-backup/archive';
import type { TreeEntry, TreeXattr } from '@foodsave-backup/repository';
import { printable } from '@foodsave-backup/kernel';

/**
 * What a record says in its own words, and what belongs to one place: extents, trees and sums to a repository, change time
 * and inode to one disk. An archive that could bring those along could make the next backup believe that a file is unchanged.
 */
const NOT_CARRIED = new Set([
  ...['name', 'type', 'size', 'sha256', 'blockSha256', 'holeBytes', 'target'],
  ...['extents', 'extentRoot', 'tree', 'files', 'bytes', 'implied', 'ctimeNs', 'inode'],
]);

/**
 * Metadata of an entry as plain JSON, whatever it is that the tree keeps of it: numbers, texts and truth values as they
 * are, integers beyond 2^53 as `{ "int": "…" }`, bytes as `{ "bytes": "<base64>" }`, lists and objects by their members.
 */
export function encodeMeta(entry: TreeEntry): RecordMeta {
  const { mode, mtimeNs } = entry;
  const meta: RecordMeta = { mode, mtimeNs: String(mtimeNs) };
  for (const [key, value] of Object.entries(entry) as [string, unknown][]) {
    if (NOT_CARRIED.has(key) || key in meta || value === undefined) continue;
    meta[key] = encodeValue(value);
  }
  return meta;
}

function encodeValue(value: unknown): JsonValue {
  if (typeof value === 'bigint') return { int: String(value) };
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('base64') };
  if (Array.isArray(value)) return value.map(encodeValue);
  if (typeof value === 'object' && value !== null) {
    return { object: Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, encodeValue(inner)])) };
  }
  return value as JsonValue;
}

/** The metadata of a file, a directory or a link, as a tree takes it. Throws ARCHIVE_INVALID. */
export function decodeMeta(path: string, meta: RecordMeta): ArchivedMeta {
  const decoded: ArchivedMeta = { mode: meta.mode, mtimeNs: BigInt(meta.mtimeNs) };
  for (const [key, value] of Object.entries(meta)) {
    if (key === 'mode' || key === 'mtimeNs') continue;
    const check = CHECKS[key];
    const plain = check?.(value);
    if (plain === undefined) {
      throw archiveInvalid(`the metadata "${printable(key)}" of "${printable(path)}" is unknown or wrong`, {
        hint: 'Update this software if the archive was exported by a newer one.',
      });
    }
    Object.assign(decoded, { [key]: plain });
  }
  const tooLong = 2n ** 63n;
  if (decoded.mtimeNs >= tooLong || decoded.mtimeNs < -tooLong)
    throw archiveInvalid(`"${printable(path)}" has no valid time`);
  return decoded;
}

export interface ArchivedMeta {
  mode: number;
  mtimeNs: bigint;
  uid?: number;
  gid?: number;
  pageSize?: number;
  changedWhileRead?: boolean;
  xattrs?: TreeXattr[];
  /** Equal for all names of one file. */
  link?: Buffer;
}

type Check = (value: JsonValue) => unknown;

const ID_MAX = 2 ** 32 - 2;

const CHECKS: Readonly<Partial<Record<string, Check>>> = {
  uid: (value) => number(value, ID_MAX),
  gid: (value) => number(value, ID_MAX),
  pageSize: (value) => {
    const size = number(value, 65_536) ?? 0;
    return size >= 512 && (size & (size - 1)) === 0 ? size : undefined;
  },
  changedWhileRead: (value) => (value === true ? value : undefined),
  xattrs: (value) => xattrsOf(value),
  link: (value) => {
    const link = bytesOf(value);
    return link !== undefined && link.length >= 1 && link.length <= 32 ? link : undefined;
  },
};

const XATTR_BYTES = 256 * 1024;

/** Each `{ object: { name: { bytes }, value: { bytes } } }`, as a tree takes them: ascending, and not too large together. */
function xattrsOf(value: JsonValue): TreeXattr[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const xattrs: TreeXattr[] = [];
  let size = 0;
  for (const item of value) {
    const pair = isJsonObject(item) ? item['object'] : undefined;
    if (!isJsonObject(pair)) return undefined;
    const name = bytesOf(pair['name'] ?? null);
    const content = bytesOf(pair['value'] ?? null);
    const last = xattrs.at(-1);
    if (name === undefined || content === undefined || name.length < 1 || name.length > 255 || name.includes(0))
      return undefined;
    if (last !== undefined && Buffer.compare(last.name, name) >= 0) return undefined;
    size += name.length + content.length + 8;
    xattrs.push({ name, value: content });
  }
  return size > XATTR_BYTES ? undefined : xattrs;
}

function number(value: JsonValue, max: number): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max ? value : undefined;
}

/** The bytes of `{ "bytes": … }`. */
function bytesOf(value: JsonValue): Buffer | undefined {
  const text = isJsonObject(value) ? value['bytes'] : undefined;
  return typeof text === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined;
}
