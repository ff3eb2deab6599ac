import { malformed } from './bytes.ts';
import type { RepositoryKeys } from './keys.ts';
import { LIMITS } from './limits.ts';

export const BLOB_KIND = { data: 1, pages: 2, pageHashes: 3, extents: 4, tree: 5 } as const;
export type BlobKind = (typeof BLOB_KIND)[keyof typeof BLOB_KIND];

export function blobKindOf(value: number): BlobKind {
  if (value < 1 || value > 5) throw malformed(`unknown blob kind ${value}`);
  return value as BlobKind;
}

/** Bytes `[from, to)`. */
export interface ByteSpan {
  from: number;
  to: number;
}

/** What a frame has lost. Its length and its hash stay those of the whole frame, so that the id of the blob can still be checked. */
export interface Punched {
  /** Bytes of the frame that are gone: ascending, apart from each other, at least one. */
  gone: readonly ByteSpan[];
  /** SHA-256 of the frame as it is stored, with zeros for what is gone; absent when all of it is gone and nothing is stored. */
  hash?: Uint8Array;
}

/** A frame: `length` bytes uncompressed, of which `hash` is the SHA-256; `stored` bytes in the pack, its tag included. */
export interface Frame {
  length: number;
  stored: number;
  codec: number;
  hash: Uint8Array;
  /** Of a frame that a prune has thinned out. */
  punched?: Punched;
}

/** What a pack's directory says of a blob. `offset`: bytes from the start of the pack. */
export interface BlobEntry {
  kind: BlobKind;
  id: Buffer;
  offset: number;
  firstFrame: number;
  frames: Frame[];
}

/**
 * The id of a blob from its frames (FORMAT.md section 5). Page hashes are the exception: their id is derived from the id
 * of the pages blob, so that whoever knows that blob finds its hashes without a pointer.
 */
export function blobId(
  keys: RepositoryKeys,
  kind: BlobKind,
  frames: readonly Pick<Frame, 'length' | 'hash'>[],
): Buffer {
  const bytes = Buffer.allocUnsafe(1 + frames.length * 36);
  bytes[0] = kind;
  frames.forEach((frame, i) => {
    bytes.writeUInt32LE(frame.length, 1 + i * 36);
    bytes.set(frame.hash, 5 + i * 36);
  });
  return keys.hmacBlobId(bytes);
}

export function pageHashesId(keys: RepositoryKeys, pagesBlobId: Uint8Array): Buffer {
  return keys.hmacBlobId(Buffer.from([BLOB_KIND.pageHashes]), pagesBlobId);
}

export function blobLength(entry: Pick<BlobEntry, 'frames'>): number {
  let length = 0;
  for (const frame of entry.frames) length += frame.length;
  return length;
}

export function storedLength(entry: Pick<BlobEntry, 'frames'>): number {
  let length = 0;
  for (const frame of entry.frames) length += frame.stored;
  return length;
}

export function checkFrames(frames: readonly Frame[]): void {
  if (frames.length === 0 || frames.length > LIMITS.framesPerBlob) throw malformed('number of frames of a blob');
  let total = 0;
  for (const frame of frames) {
    if (frame.length < 1 || frame.length > LIMITS.frameBytes || frame.stored > LIMITS.packBytes) {
      throw malformed('length of a frame');
    }
    total += frame.length;
  }
  if (total > LIMITS.blobBytes) throw malformed('length of a blob');
}
