import { BackupError, toBackupError } from '@foodsave-backup/kernel';
import {
  blobId,
  BLOB_KIND,
  encodeDirectory,
  FOOTER_BYTES,
  HEADER_BYTES,
  openDirectory,
  packKey,
  readFooter,
  salvageDirectory,
  salvageHeader,
  type BlobEntry,
  type Folder,
  type RepositoryKeys,
} from '@foodsave-backup/format';
import type { FrameDecoder } from './frame-decoder.ts';
import { loadDecoder } from './load-decoder.ts';
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
 * `memory`: for the bytes of the pack, which are then valid for as long as the caller leaves it alone.
 */
export async function examinePack(
  { storage, keys }: Pick<Repository, 'storage' | 'keys'>,
  key: string,
  indexed: readonly BlobEntry[] = [],
  memory?: Uint8Array,
): Promise<PackExamination> {
  const decoder = await loadDecoder();
  let bytes: Uint8Array;
  try {
    bytes = await storage.get(key, undefined, memory === undefined ? {} : { into: memory });
  } catch (error) {
    const known = toBackupError(error);
    if (known.code === 'CANCELLED') throw known;
    return { reason: known.message, gone: isAbsent(error), frameKey: undefined, blobs: [] };
  }
  try {
    const { folder, ...found } = await wholePack({ keys, decoder }, key, bytes);
    if (key.startsWith(`${folder}/`)) return { gone: false, bytes, ...found };
    return { gone: false, bytes, ...found, belongs: folder, reason: 'it lies in another folder than it says' };
  } catch (error) {
    const known = toBackupError(error);
    // Said of bytes that have the SHA-256 which is their name.
    if (known.code === 'FORMAT_TOO_NEW') throw known;
    return { reason: known.message, gone: false, bytes, ...(await salvage({ keys, decoder }, bytes, indexed)) };
  }
}

/** What readers can use today: whole, and where the index says. The rest is found by a repair only. */
export function readableBlobs({ blobs }: Pick<PackExamination, 'blobs'>, indexed: readonly BlobEntry[]): BlobEntry[] {
  const whole = new Set(blobs.map((blob) => encodeDirectory([blob]).toString('latin1')));
  return indexed.filter((blob) => whole.has(encodeDirectory([blob]).toString('latin1')));
}

/** Frames of a pack that are opened at once. */
const FRAMES_AT_ONCE = 4;

interface Means {
  keys: RepositoryKeys;
  decoder: FrameDecoder;
}

/** Throws DATA_DAMAGED at the first thing that is not as it was written. */
async function wholePack(
  { keys, decoder }: Means,
  key: string,
  bytes: Uint8Array,
): Promise<Pick<PackExamination, 'blobs' | 'frameKey'> & { folder: Folder }> {
  const hash = hashOfKey(key);
  if (hash === undefined || !(await decoder.sha256(bytes)).equals(hash)) {
    throw new BackupError('DATA_DAMAGED', 'its SHA-256 is not its name');
  }
  const header = bytes.subarray(0, HEADER_BYTES);
  const place = readFooter(bytes.subarray(bytes.length - FOOTER_BYTES), bytes.length);
  const sealed = bytes.subarray(place.offset, place.offset + place.length);
  const { folder, blobs } = openDirectory(keys, header, sealed, bytes.length);
  const frameKey = packKey(keys, header);
  await proveFrames(decoder, frameKey, blobs, bytes);
  for (const blob of blobs) assertId(keys, blob);
  return { folder, blobs, frameKey };
}

/**
 * Opens all that is stored of the frames of some blobs, several at once. Throws the first failure, when nothing looks at `pack`
 * any more.
 */
export async function proveFrames(
  decoder: FrameDecoder,
  frameKey: Buffer | undefined,
  blobs: readonly BlobEntry[],
  pack: Uint8Array,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let failure: unknown;
  for (const { blob, i, at, stored } of storedFrames(blobs)) {
    if (failure !== undefined) break;
    const proof = decoder
      .prove(frameKey, blob, i, pack.subarray(at, at + stored))
      .catch((error: unknown) => {
        failure ??= error;
      })
      .finally(() => running.delete(proof));
    running.add(proof);
    if (running.size >= FRAMES_AT_ONCE) await Promise.race(running);
  }
  await Promise.all(running);
  if (failure !== undefined) throw toBackupError(failure);
}

function* storedFrames(
  blobs: readonly BlobEntry[],
): Generator<{ blob: BlobEntry; i: number; at: number; stored: number }> {
  for (const blob of blobs) {
    let at = blob.offset;
    for (const [i, { stored }] of blob.frames.entries()) {
      if (stored > 0) yield { blob, i, at, stored };
      at += stored;
    }
  }
}

/** Compares the list of frames of a blob with its id. Throws DATA_DAMAGED. */
function assertId(keys: RepositoryKeys, blob: BlobEntry): void {
  if (blob.kind !== BLOB_KIND.pageHashes && !blobId(keys, blob.kind, blob.frames).equals(blob.id)) {
    throw new BackupError('DATA_DAMAGED', 'a blob is not what its id says');
  }
}

async function salvage(
  { keys, decoder }: Means,
  bytes: Uint8Array,
  indexed: readonly BlobEntry[],
): Promise<Pick<PackExamination, 'blobs' | 'frameKey'>> {
  const header = salvageHeader(keys, bytes);
  if (header === undefined) return { frameKey: undefined, blobs: [] };
  const frameKey = packKey(keys, header);
  const found = new Map<string, BlobEntry>();
  for (const blob of [...indexed, ...salvageDirectory(keys, header, bytes)]) {
    const id = blob.id.toString('latin1');
    if (found.has(id)) continue;
    try {
      await proveFrames(decoder, frameKey, [blob], bytes);
      assertId(keys, blob);
      found.set(id, blob);
    } catch {
      // Lost here; perhaps whole in another pack.
    }
  }
  return { frameKey, blobs: [...found.values()] };
}
