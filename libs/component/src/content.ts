import { bytesOf, type Piece } from '@foodsave-backup/kernel';
import type { ContentOptions, ContentSource } from './port.ts';

/** Bytes of the hash of a page: see `HashedPages`. */
export const PAGE_HASH_BYTES = 16;

/** A content that is produced with holes, for who wants them and for who does not. */
export function contentSource(pieces: (options: Pick<ContentOptions, 'reuse'>) => AsyncIterable<Piece>): ContentSource {
  function content(): AsyncIterable<Uint8Array>;
  function content(options: ContentOptions): AsyncIterable<Piece>;
  function content(options?: ContentOptions): AsyncIterable<Piece> {
    return options === undefined ? bytesOf(pieces({})) : pieces(options);
  }
  return content;
}
