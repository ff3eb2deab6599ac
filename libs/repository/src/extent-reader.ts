import { BackupError, bytesOf, type Piece } from '@foodsave-backup/kernel';
import { decodeExtentNode, LIMITS, malformed, type ExtentList, type FileEntry } from '@foodsave-backup/format';
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

/** Largest piece of bytes, as `bytesOf` makes of holes. */
const PIECE_BYTES = 1024 * 1024;

/**
 * The content of a file in order: bytes, each verified against its frame's hash, in pieces of at most 1 MiB, and holes. The sum
 * of the lengths is the entry's size.
 */
export async function* readPieces(reader: BlobReader, entry: FileEntry): AsyncGenerator<Piece> {
  let left = entry.size;
  for await (const { list } of extentLeaves(reader, entry)) {
    for (const extent of list.extents) {
      const bytes = extent.length * list.unit;
      if (bytes > left) throw malformed('the extents of a file exceed its size');
      if (extent.blob === undefined) yield { hole: bytes };
      else yield* readExtent(reader, extent.blob, extent.offset * list.unit, bytes);
      left -= bytes;
    }
  }
  if (left !== 0) throw new BackupError('DATA_DAMAGED', 'The extents of a file end before its size');
}

/** The same with zeros in place of holes. */
export function readContent(reader: BlobReader, entry: FileEntry): AsyncGenerator<Uint8Array> {
  return bytesOf(readPieces(reader, entry));
}

async function* readExtent(
  reader: BlobReader,
  blob: Buffer,
  offset: number,
  bytes: number,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes; at += PIECE_BYTES)
    yield await reader.readRange(blob, offset + at, Math.min(PIECE_BYTES, bytes - at));
}
