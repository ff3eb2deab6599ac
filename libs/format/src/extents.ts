import { ByteReader, ByteWriter, idOf, malformed, numberOf, readFields, unknownField } from './bytes.ts';
import { LIMITS } from './limits.ts';

/** A run of a file's content: `length` units from `offset` of a blob, or zeros when `blob` is undefined. */
export interface Extent {
  blob: Buffer | undefined;
  /** Units. */
  offset: number;
  /** Units, at least 1. */
  length: number;
}

export interface ExtentList {
  /** Bytes of a unit: 1, or the page size of a database file. */
  unit: number;
  extents: Extent[];
}

/** Joins an extent to the end of a list where it continues the last one. */
export function appendExtent(list: Extent[], next: Extent): void {
  const last = list.at(-1);
  const continues =
    last !== undefined &&
    (last.blob === undefined
      ? next.blob === undefined
      : next.blob !== undefined && last.offset + last.length === next.offset && last.blob.equals(next.blob));
  if (continues) last.length += next.length;
  else list.push({ ...next });
}

export function encodeExtents(list: ExtentList): Buffer {
  const numbers = new Map<string, number>();
  const ids: Buffer[] = [];
  for (const extent of list.extents) {
    if (extent.blob === undefined) continue;
    const key = extent.blob.toString('latin1');
    if (numbers.has(key)) continue;
    numbers.set(key, ids.length);
    ids.push(extent.blob);
  }
  const writer = new ByteWriter(32 + ids.length * 32 + list.extents.length * 6).varint(list.unit).varint(ids.length);
  for (const id of ids) writer.bytes(id);
  writer.varint(list.extents.length);
  const expected = new Array<number>(ids.length).fill(0);
  for (const extent of list.extents) {
    if (extent.blob === undefined) {
      writer.varint(ids.length).varint(extent.length);
      continue;
    }
    const number = numbers.get(extent.blob.toString('latin1')) ?? 0;
    writer
      .varint(number)
      .zigzag(BigInt(extent.offset - (expected[number] ?? 0)))
      .varint(extent.length);
    expected[number] = extent.offset + extent.length;
  }
  return writer.finish();
}

export function decodeExtents(bytes: Uint8Array): ExtentList {
  const reader = new ByteReader(bytes);
  const unit = reader.varint();
  if (unit !== 1 && (unit < 512 || unit > 65_536)) throw malformed('unit of an extent list');
  const count = reader.varint();
  if (count * 32 > reader.remaining) throw malformed('blobs of an extent list');
  const ids: Buffer[] = [];
  for (let i = 0; i < count; i++) ids.push(reader.bytes(32));
  const total = reader.varint();
  if (total > reader.remaining) throw malformed('length of an extent list');
  const extents: Extent[] = [];
  const expected = new Array<number>(count).fill(0);
  for (let i = 0; i < total; i++) {
    const number = reader.varint();
    if (number > count) throw malformed('blob number of an extent');
    const offset = number === count ? 0 : (expected[number] ?? 0) + Number(reader.zigzag());
    const length = reader.varint();
    if (length < 1 || offset < 0) throw malformed('place of an extent');
    if (number < count && (offset + length) * unit > LIMITS.blobBytes) throw malformed('place of an extent');
    if (number < count) expected[number] = offset + length;
    extents.push({ blob: number === count ? undefined : ids[number], offset, length });
  }
  reader.end();
  return { unit, extents };
}

export interface ExtentChild {
  id: Buffer;
  /** Bytes of content below it. */
  bytes: number;
}

export type ExtentNode = { level: 0; list: ExtentList } | { level: number; children: ExtentChild[] };

export function encodeExtentLeaf(list: ExtentList): Buffer {
  return new ByteWriter().numberField(1, 0).field(3, encodeExtents(list)).finish();
}

export function encodeExtentInner(level: number, children: readonly ExtentChild[]): Buffer {
  const writer = new ByteWriter(children.length * 48).numberField(1, level);
  for (const child of children) writer.field(5, new ByteWriter(48).bytes(child.id).varint(child.bytes).finish());
  return writer.finish();
}

/** `maxLevel`: the level must be at most this, so that a malicious chain of nodes ends. */
export function decodeExtentNode(bytes: Uint8Array, maxLevel: number = LIMITS.nodeLevels): ExtentNode {
  let level: number | undefined;
  let list: ExtentList | undefined;
  const children: ExtentChild[] = [];
  for (const [tag, value] of readFields(bytes, [1, 3])) {
    if (tag === 1) level = numberOf(value);
    else if (tag === 3) list = decodeExtents(value);
    else if (tag === 5) {
      const reader = new ByteReader(value);
      children.push({ id: idOf(reader.bytes(32)), bytes: reader.varint() });
      reader.end();
    } else unknownField(tag, 'an extent node');
  }
  if (level === undefined || level > maxLevel) throw malformed('level of an extent node');
  if (level === 0) {
    if (list === undefined || children.length > 0) throw malformed('an extent leaf');
    return { level: 0, list };
  }
  if (list !== undefined || children.length === 0) throw malformed('an inner extent node');
  return { level, children };
}
