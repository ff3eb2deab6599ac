import { bytesOf, type Piece } from '@foodsave-backup/kernel';
import type { ContentSource } from './port.ts';

/** Bytes of the hash of a page: see `HashedPages`. */
export const PAGE_HASH_BYTES = 16;

/** A content that is produced with holes, for who wants them and for who does not. */
export function contentSource(pieces: () => AsyncIterable<Piece>): ContentSource {
  function content(): AsyncIterable<Uint8Array>;
  function content(options: { holes: true }): AsyncIterable<Piece>;
  function content(options?: { holes: true }): AsyncIterable<Piece> {
    return options === undefined ? bytesOf(pieces()) : pieces();
  }
  return content;
}
