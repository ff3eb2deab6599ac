import { BackupError } from '@foodsave-backup/kernel';
import {
  decodeExtentNode,
  LIMITS,
  malformed,
  type Extent,
  type ExtentList,
  type FileEntry,
} from '@foodsave-backup/format';
import type { BlobReader } from './blob-reader.ts';

/** A leaf of a file's extents, with the id of its node when it has one of its own. */
export interface ExtentLeaf {
  id?: Buffer;
  list: ExtentList;
}

/** The leaves of a file's extents, in order. */
export async function* extentLeaves(reader: BlobReader, entry: FileEntry): AsyncGenerator<ExtentLeaf> {
  if (entry.extents !== undefined) yield { list: entry.extents };
  else if (entry.extentRoot !== undefined) yield* walk(reader, entry.extentRoot, LIMITS.nodeLevels);
}

async function* walk(reader: BlobReader, id: Buffer, maxLevel: number): AsyncGenerator<ExtentLeaf> {
  const node = decodeExtentNode(await reader.read(id), maxLevel);
  if ('list' in node) {
    yield { id, list: node.list };
    return;
  }
  for (const child of node.children) yield* walk(reader, child.id, node.level - 1);
}

/** Largest piece that `readContent` yields, in bytes. */
const PIECE_BYTES = 1024 * 1024;

/** The bytes of a file in order, each verified against its frame's hash; the sum of the lengths is the entry's size. */
export async function* readContent(reader: BlobReader, entry: FileEntry): AsyncGenerator<Uint8Array> {
  let left = entry.size;
  for await (const { list } of extentLeaves(reader, entry)) {
    for (const extent of list.extents) {
      const bytes = extent.length * list.unit;
      if (bytes > left) throw malformed('the extents of a file exceed its size');
      yield* readExtent(reader, extent, list.unit, bytes);
      left -= bytes;
    }
  }
  if (left !== 0) throw new BackupError('DATA_DAMAGED', 'The extents of a file end before its size');
}

async function* readExtent(
  reader: BlobReader,
  extent: Extent,
  unit: number,
  bytes: number,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes; at += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, bytes - at);
    yield extent.blob === undefined
      ? new Uint8Array(length)
      : await reader.readRange(extent.blob, extent.offset * unit + at, length);
  }
}
