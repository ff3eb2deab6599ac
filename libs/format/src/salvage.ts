import { createDecipheriv } from 'node:crypto';
import { BLOB_KIND, type BlobEntry } from './blob.ts';
import { ByteWriter, readFields } from './bytes.ts';
import { folderOfCode, FOLDERS, HEADER_BYTES, makeHeader, OBJECT_KIND, type Folder } from './header.ts';
import type { RepositoryKeys } from './keys.ts';
import { decodeDirectory, directoryNonce, FOOTER_BYTES, openDirectory } from './pack.ts';
import { HASH_BYTES, TAG_BYTES } from './seal.ts';

/**
 * The header that a damaged pack must have had: all of it but the salt and the folder code is known. `undefined` when the
 * pack ends before its salt. With a damaged salt the frames do not open.
 */
export function salvageHeader(keys: RepositoryKeys, pack: Uint8Array): Buffer | undefined {
  if (pack.length < HEADER_BYTES) return undefined;
  return makeHeader(keys, OBJECT_KIND.pack, folderOr(pack[11] ?? 0), pack.subarray(32, HEADER_BYTES)).bytes;
}

function folderOr(code: number): Folder {
  return code < FOLDERS.length ? folderOfCode(code) : 'meta';
}

/**
 * The blobs that a damaged pack still lists: its directory with another folder code in the header, or, when its seal is
 * broken, whatever of it can be parsed. Nothing of it may be used before each frame was opened and each id compared. Page
 * hashes, whose id does not say what they are, are taken from a sealed directory only.
 */
export function salvageDirectory(keys: RepositoryKeys, header: Buffer, pack: Uint8Array): BlobEntry[] {
  const length = Buffer.from(pack.buffer, pack.byteOffset, pack.byteLength).readUInt32LE(pack.length - FOOTER_BYTES);
  const end = pack.length - FOOTER_BYTES;
  if (length > end - HEADER_BYTES) return [];
  const sealed = pack.subarray(end - length, end);
  for (let code = 0; code < FOLDERS.length; code++) {
    const guess = Buffer.from(header);
    guess[11] = code;
    try {
      return openDirectory(keys, guess, sealed, pack.length).blobs;
    } catch {
      // Not this folder, or the seal is broken.
    }
  }
  return unsealed(unsafeRecord(keys, header, sealed), pack.length).filter(({ kind }) => kind !== BLOB_KIND.pageHashes);
}

/** AES-GCM is a stream cipher: a flipped bit of the ciphertext is one flipped bit of the text. */
function unsafeRecord(keys: RepositoryKeys, header: Buffer, sealed: Uint8Array): Uint8Array {
  if (!keys.encrypted) return sealed.subarray(0, Math.max(0, sealed.length - HASH_BYTES));
  const key = keys.objectKey(OBJECT_KIND.pack, header.subarray(32, HEADER_BYTES));
  const body = sealed.subarray(0, Math.max(0, sealed.length - TAG_BYTES));
  return createDecipheriv('aes-256-gcm', key, directoryNonce()).update(body);
}

function unsealed(record: Uint8Array, packBytes: number): BlobEntry[] {
  const blobs: BlobEntry[] = [];
  try {
    for (const [tag, value] of readFields(record)) {
      try {
        blobs.push(...decodeDirectory(new ByteWriter(value.length + 16).field(tag, value).finish(), packBytes));
      } catch {
        // This one is lost; those behind it may be whole.
      }
    }
  } catch {
    // From here on it is not known where a blob begins.
  }
  return blobs;
}
