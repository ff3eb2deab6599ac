// Bytes of the format's records, made from FORMAT.md.
import { createHash } from 'node:crypto';

export const cat = (...parts: Uint8Array[]): Buffer => Buffer.concat(parts);
export const sha = (...parts: Uint8Array[]): Buffer =>
  createHash('sha256')
    .update(cat(...parts))
    .digest();

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(value);
  do {
    const low = Number(rest % 128n);
    rest /= 128n;
    bytes.push(rest > 0n ? low + 128 : low);
  } while (rest > 0n);
  return Buffer.from(bytes);
}

export function zigzag(value: number | bigint): Buffer {
  const n = BigInt(value);
  return varint(n >= 0n ? n * 2n : -n * 2n - 1n);
}

export function field(tag: number, value: Uint8Array): Buffer {
  return cat(varint(tag), varint(value.length), value);
}

export const numberField = (tag: number, value: number | bigint): Buffer => field(tag, varint(value));

export interface ExtentSpec {
  /** Index into the ids, or 'hole'. */
  blob: number | 'hole';
  offset?: number;
  length: number;
}

export function extentList(unit: number, ids: Buffer[], extents: ExtentSpec[]): Buffer {
  const ends = ids.map(() => 0);
  const coded = extents.map(({ blob, offset = 0, length }) => {
    if (blob === 'hole') return cat(varint(ids.length), varint(length));
    const delta = offset - ends[blob]!;
    ends[blob] = offset + length;
    return cat(varint(blob), zigzag(delta), varint(length));
  });
  return cat(varint(unit), varint(ids.length), ...ids, varint(extents.length), ...coded);
}

export interface EntryAttributes {
  mode?: number;
  mtime?: bigint;
  uid?: number;
  gid?: number;
  /** Names and values, ascending. */
  xattrs?: [name: string, value: Buffer][];
}

const DEFAULT_TIME = 1_700_000_000_123_456_789n;

function common(name: Uint8Array | string, type: number, attributes: EntryAttributes, fallbackMode: number): Buffer {
  const { mode = fallbackMode, mtime = DEFAULT_TIME, uid, gid, xattrs } = attributes;
  const packed = (xattrs ?? []).map(([key, value]) =>
    cat(varint(key.length), Buffer.from(key), varint(value.length), value),
  );
  return cat(
    field(1, Buffer.from(name)),
    numberField(3, type),
    numberField(5, mode),
    field(7, zigzag(mtime)),
    uid === undefined ? Buffer.alloc(0) : numberField(2, uid),
    gid === undefined ? Buffer.alloc(0) : numberField(4, gid),
    numberField(10, 18_446_744_073_709_551_615n),
    xattrs === undefined ? Buffer.alloc(0) : field(22, cat(...packed)),
  );
}

export interface FileSpec extends EntryAttributes {
  content: Buffer;
  list?: Buffer;
  node?: Buffer;
  size?: number;
  pageSize?: number;
  /** What names of one file share. */
  link?: Buffer;
  /** The hash by blocks in place of that of the whole. */
  blockHash?: Buffer;
}

export function fileEntry(name: Uint8Array | string, spec: FileSpec): Buffer {
  return cat(
    common(name, 1, spec, 0o644),
    numberField(9, spec.size ?? spec.content.length),
    spec.blockHash ? field(21, spec.blockHash) : field(11, sha(spec.content)),
    spec.link ? field(20, spec.link) : Buffer.alloc(0),
    spec.list ? field(13, spec.list) : Buffer.alloc(0),
    spec.node ? field(15, spec.node) : Buffer.alloc(0),
    spec.pageSize ? numberField(6, spec.pageSize) : Buffer.alloc(0),
  );
}

export const directoryEntry = (name: Uint8Array | string, node: Buffer, attributes: EntryAttributes = {}): Buffer =>
  cat(common(name, 2, attributes, 0o755), field(17, node), numberField(14, 1), numberField(16, 1));

export const linkEntry = (name: Uint8Array | string, target: string, attributes: EntryAttributes = {}): Buffer =>
  cat(common(name, 3, attributes, 0o777), field(19, Buffer.from(target)));

export const pipeEntry = (name: Uint8Array | string, attributes: EntryAttributes = {}): Buffer =>
  common(name, 4, attributes, 0o644);
