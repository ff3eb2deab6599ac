import { KIND, type Blobs } from './blobs.ts';
import { Damage } from './errors.ts';
import { readExtents, walkExtents, type Extent, type Stretch } from './extents.ts';
import type { FileEntry } from './trees.ts';

/** A stretch of a file in order: bytes, a hole (zeros), or lost. */
export type Piece =
  | { readonly length: number; readonly bytes: Buffer }
  | { readonly length: number; readonly hole: true }
  | { readonly length: number; readonly lost: string };

const CONTENT = [KIND.data, KIND.pages];

/**
 * The content of a file, piece by piece; the lengths of the pieces add up to the file's size. What cannot be read is a
 * lost piece and the rest follows. `onBlob` is told of each extent's blob before it is read.
 */
export function* content(blobs: Blobs, file: FileEntry, onBlob: (extent: Extent) => void): Generator<Piece> {
  let at = 0;
  try {
    for (const stretch of stretches(blobs, file)) {
      if (at >= file.size) throw new Damage('the extents are longer than the file');
      const over = at + stretch.length - file.size;
      if (over > 0 && !('lost' in stretch) && stretch.unit === 1)
        throw new Damage('the extents are longer than the file');
      const length = Math.min(stretch.length, file.size - at);
      if ('lost' in stretch) yield { length, lost: stretch.lost };
      else if (stretch.blob === undefined) yield { length, hole: true };
      else {
        onBlob(stretch);
        yield* blobs.range(stretch.blob, CONTENT, stretch.offset, length);
      }
      at += length;
    }
    if (at < file.size) throw new Damage('the extents are shorter than the file');
  } catch (error) {
    if (!(error instanceof Damage)) throw error;
    yield { length: file.size - at, lost: error.message };
  }
}

function stretches(blobs: Blobs, file: FileEntry): Iterable<Stretch> {
  if (file.extents) return readExtents(file.extents);
  if (file.extentRoot) return walkExtents(blobs, file.extentRoot, file.size);
  return [];
}
