import { Cursor, Fields } from './bytes.ts';
import { KIND, type Blobs } from './blobs.ts';
import { Damage } from './errors.ts';

const MAX_UNIT = 65_536;
const MAX_LEVEL = 8;

/** A stretch of a file's content in bytes; a hole (zeros) has no blob. */
export interface Extent {
  readonly blob: Buffer | undefined;
  readonly offset: number;
  readonly length: number;
  readonly unit: number;
}

export type Stretch = Extent | { readonly length: number; readonly lost: string };

/** The extents of one extent list. */
export function* readExtents(bytes: Buffer): Generator<Extent> {
  const cursor = new Cursor(bytes, 'an extent list');
  const unit = cursor.varint();
  if (unit !== 1 && (unit < 512 || unit > MAX_UNIT)) throw new Damage('an extent list has a unit beyond the limits');
  const blobs = cursor.varint();
  const ids = cursor.take(blobs * 32);
  const expected = new Map<number, number>();
  for (let left = cursor.varint(); left > 0; left--) {
    const blob = cursor.varint();
    if (blob > blobs) throw new Damage('an extent names a blob that is not in its list');
    const offset = blob === blobs ? 0 : (expected.get(blob) ?? 0) + cursor.zigzag();
    const length = cursor.varint();
    const end = (offset + length) * unit;
    if (length < 1 || offset < 0 || end > Number.MAX_SAFE_INTEGER) throw new Damage('an extent is beyond the limits');
    expected.set(blob, offset + length);
    yield {
      blob: blob === blobs ? undefined : ids.subarray(blob * 32, blob * 32 + 32),
      offset: offset * unit,
      length: length * unit,
      unit,
    };
  }
  cursor.end();
}

/** Where a walk over a file's extents has come to, in bytes, before the cut at the file's size. */
interface Position {
  at: number;
  readonly size: number;
}

/** The extents below an extent node, in order. What lies below a node that cannot be read is one lost stretch. */
export function* walkExtents(blobs: Blobs, root: Buffer, size: number): Generator<Stretch> {
  yield* walk(blobs, root, MAX_LEVEL, { at: 0, size });
}

function* walk(blobs: Blobs, id: Buffer, highest: number, position: Position): Generator<Stretch> {
  const node = new Fields(blobs.whole(id, KIND.extents), 'an extent node', { once: [1, 3], lists: [5] });
  const level = node.number(1);
  const children = node.list(5);
  if (level > highest || (level === 0) !== (children.length === 0) || (level === 0) !== node.has(3)) {
    throw new Damage('an extent node has a level that does not belong here');
  }
  if (level === 0) {
    for (const extent of readExtents(node.bytes(3))) {
      position.at += extent.length;
      yield extent;
    }
    return;
  }
  for (const child of children) {
    const cursor = new Cursor(child, 'a child of an extent node');
    const childId = cursor.take(32);
    const length = cursor.varint();
    cursor.end();
    yield* walkChild(blobs, childId, length, level - 1, position);
  }
}

function* walkChild(blobs: Blobs, id: Buffer, length: number, highest: number, position: Position): Generator<Stretch> {
  const start = position.at;
  try {
    yield* walk(blobs, id, highest, position);
  } catch (error) {
    if (!(error instanceof Damage)) throw error;
    const rest = start + length - position.at;
    if (rest < 0) throw error;
    position.at += rest;
    if (rest > 0) yield { length: rest, lost: error.message };
    return;
  }
  // The last page of a file may be counted whole, or cut at the file's size.
  const cut = Math.min(position.at, position.size) - start;
  if (length !== position.at - start && length !== cut)
    throw new Damage('an extent node holds another length than it says');
}
