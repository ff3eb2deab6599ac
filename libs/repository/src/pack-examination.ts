import { BackupError, toBackupError } from '@foodsave-backup/kernel';
import {
  blobId,
  BLOB_KIND,
  encodeDirectory,
  FOOTER_BYTES,
  HEADER_BYTES,
  openDirectory,
  openFrame,
  packKey,
  readFooter,
  salvageDirectory,
  salvageHeader,
  sha256,
  type BlobEntry,
  type Folder,
  type RepositoryKeys,
} from '@foodsave-backup/format';
import { hashOfKey } from './layout.ts';
import { isAbsent } from './manifest-store.ts';
import type { Repository } from './repository.ts';

/** What one pack is found to be when every byte of it is read. */
export interface PackExamination {
  /** Why it is damaged; absent when every byte is as it was written. */
  reason?: string;
  /** It is not there any more. */
  gone: boolean;
  /** The folder that it says it belongs to, when nothing is wrong but that it lies in another. */
  belongs?: Folder;
  /** The file; absent when it could not be read. */
  bytes?: Uint8Array;
  /** Opens the frames of `blobs`; `undefined` without encryption. */
  frameKey: Buffer | undefined;
  /** The blobs of which every frame is whole: all of them when the pack is. */
  blobs: BlobEntry[];
}

/**
 * Reads a pack: name, header, directory, every frame and every blob id. Of a damaged one, the blobs that are still whole are
 * found through its own directory, however much of that can be read, and through `indexed`, what the index says of it.
 */
export async function examinePack(
  { storage, keys }: Pick<Repository, 'storage' | 'keys'>,
  key: string,
  indexed: readonly BlobEntry[] = [],
): Promise<PackExamination> {
  let bytes: Uint8Array;
  try {
    bytes = await storage.get(key);
  } catch (error) {
    const known = toBackupError(error);
    if (known.code === 'CANCELLED') throw known;
    return { reason: known.message, gone: isAbsent(error), frameKey: undefined, blobs: [] };
  }
  try {
    const { folder, ...found } = wholePack(keys, key, bytes);
    if (key.startsWith(`${folder}/`)) return { gone: false, bytes, ...found };
    return { gone: false, bytes, ...found, belongs: folder, reason: 'it lies in another folder than it says' };
  } catch (error) {
    const known = toBackupError(error);
    // Said of bytes that have the SHA-256 which is their name.
    if (known.code === 'FORMAT_TOO_NEW') throw known;
    return { reason: known.message, gone: false, bytes, ...salvage(keys, bytes, indexed) };
  }
}

/** What readers can use today: whole, and where the index says. The rest is found by a repair only. */
export function readableBlobs({ blobs }: PackExamination, indexed: readonly BlobEntry[]): BlobEntry[] {
  const whole = new Set(blobs.map((blob) => encodeDirectory([blob]).toString('latin1')));
  return indexed.filter((blob) => whole.has(encodeDirectory([blob]).toString('latin1')));
}

/** Throws DATA_DAMAGED at the first thing that is not as it was written. */
function wholePack(
  keys: RepositoryKeys,
  key: string,
  bytes: Uint8Array,
): Pick<PackExamination, 'blobs' | 'frameKey'> & { folder: Folder } {
  const hash = hashOfKey(key);
  if (hash === undefined || !sha256(bytes).equals(hash)) {
    throw new BackupError('DATA_DAMAGED', 'its SHA-256 is not its name');
  }
  const header = bytes.subarray(0, HEADER_BYTES);
  const place = readFooter(bytes.subarray(bytes.length - FOOTER_BYTES), bytes.length);
  const sealed = bytes.subarray(place.offset, place.offset + place.length);
  const { folder, blobs } = openDirectory(keys, header, sealed, bytes.length);
  const frameKey = packKey(keys, header);
  for (const blob of blobs) openBlob(keys, frameKey, blob, bytes);
  return { folder, blobs, frameKey };
}

/** Reads all that is stored of a blob, and compares its list of frames with its id. Throws DATA_DAMAGED. */
function openBlob(keys: RepositoryKeys, frameKey: Buffer | undefined, blob: BlobEntry, pack: Uint8Array): void {
  let at = blob.offset;
  for (const [i, { stored }] of blob.frames.entries()) {
    if (stored > 0) openFrame(frameKey, blob, i, pack.subarray(at, at + stored));
    at += stored;
  }
  if (blob.kind !== BLOB_KIND.pageHashes && !blobId(keys, blob.kind, blob.frames).equals(blob.id)) {
    throw new BackupError('DATA_DAMAGED', 'a blob is not what its id says');
  }
}

function salvage(
  keys: RepositoryKeys,
  bytes: Uint8Array,
  indexed: readonly BlobEntry[],
): Pick<PackExamination, 'blobs' | 'frameKey'> {
  const header = salvageHeader(keys, bytes);
  if (header === undefined) return { frameKey: undefined, blobs: [] };
  const frameKey = packKey(keys, header);
  const found = new Map<string, BlobEntry>();
  for (const blob of [...indexed, ...salvageDirectory(keys, header, bytes)]) {
    const id = blob.id.toString('latin1');
    if (found.has(id)) continue;
    try {
      openBlob(keys, frameKey, blob, bytes);
      found.set(id, blob);
    } catch {
      // Lost here; perhaps whole in another pack.
    }
  }
  return { frameKey, blobs: [...found.values()] };
}
