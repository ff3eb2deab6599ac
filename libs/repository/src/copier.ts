import { randomBytes } from 'node:crypto';
import { BackupError, toBackupError } from '@foodsave-backup/kernel';
import {
  HEADER_BYTES,
  PackBuilder,
  packKey,
  sha256,
  type BlobEntry,
  type ByteSpan,
  type CompressedFrame,
  type Folder,
  type IndexedPack,
} from '@foodsave-backup/format';
import type { PackRef } from './blob-index.ts';
import { PACK_TARGET } from './blob-writer.ts';
import { packObjectKey } from './layout.ts';
import { framesFor } from './punch.ts';
import type { Repository } from './repository.ts';

/** A blob that could not be copied, and why. */
export interface NotCopied {
  id: Buffer;
  reason: BackupError;
}

/**
 * Copies blobs from packs that are about to go into new ones: what was compressed stays compressed, what is mostly dead is
 * punched, and every frame is checked on the way. At most one pack is in memory, and one new one for each folder.
 */
export class BlobCopier {
  readonly #repository: Repository;
  readonly #dryRun: boolean;
  readonly #open = new Map<Folder, PackBuilder>();
  readonly #made: IndexedPack[] = [];

  /** `dryRun`: everything is read and built, so that sizes are exact, and nothing is written. */
  constructor(repository: Repository, options: { dryRun?: boolean } = {}) {
    this.#repository = repository;
    this.#dryRun = options.dryRun ?? false;
  }

  /** Copies these blobs of one pack, of each what is `needed` of it or all; those that cannot be read are returned. */
  async copy(
    pack: PackRef,
    blobs: readonly BlobEntry[],
    needed?: (blob: BlobEntry) => readonly ByteSpan[] | undefined,
  ): Promise<NotCopied[]> {
    let bytes: Uint8Array;
    let key: Buffer | undefined;
    try {
      bytes = await this.#repository.storage.get(packObjectKey(pack.folder, pack.hash));
      key = packKey(this.#repository.keys, bytes.subarray(0, HEADER_BYTES));
    } catch (error) {
      const reason = toBackupError(error);
      return blobs.map(({ id }) => ({ id, reason }));
    }
    return this.copyFrom({ folder: pack.folder, bytes, key }, blobs, needed);
  }

  /** As `copy`, from a pack that was read already. `key`: opens its frames. */
  async copyFrom(
    { folder, bytes, key }: { folder: Folder; bytes: Uint8Array; key: Buffer | undefined },
    blobs: readonly BlobEntry[],
    needed?: (blob: BlobEntry) => readonly ByteSpan[] | undefined,
  ): Promise<NotCopied[]> {
    const failed: NotCopied[] = [];
    for (const blob of blobs) {
      let frames: CompressedFrame[];
      try {
        frames = framesFor(blob, bytes, key, needed?.(blob));
      } catch (error) {
        failed.push({ id: blob.id, reason: toBackupError(error) });
        continue;
      }
      await this.#add(folder, blob, frames);
    }
    return failed;
  }

  async #add(folder: Folder, blob: BlobEntry, frames: readonly CompressedFrame[]): Promise<void> {
    let builder = this.#open.get(folder);
    if (builder === undefined) {
      builder = new PackBuilder(this.#repository.keys, folder, randomBytes(32));
      this.#open.set(folder, builder);
    }
    builder.add(blob.kind, blob.id, frames);
    if (builder.size >= PACK_TARGET) await this.#close(folder, builder);
  }

  async #close(folder: Folder, builder: PackBuilder): Promise<void> {
    this.#open.delete(folder);
    const { bytes, blobs } = builder.finish();
    const hash = sha256(bytes);
    if (!this.#dryRun) {
      const key = packObjectKey(folder, hash);
      await this.#repository.storage.put(key, bytes);
      if (!sha256(await this.#repository.storage.get(key)).equals(hash)) {
        await this.#repository.storage.delete(key);
        throw new BackupError('VERIFICATION_FAILED', `Verification failed: ${key} reads back differently`, {
          hint: 'The disk or the memory of this machine may be failing. Nothing was deleted.',
        });
      }
    }
    this.#made.push({ hash, folder, size: bytes.length, blobs });
  }

  /** The new packs: durable, and read back. They are named by no index file yet. */
  async finish(): Promise<readonly IndexedPack[]> {
    for (const [folder, builder] of [...this.#open]) await this.#close(folder, builder);
    return this.#made.splice(0);
  }
}
