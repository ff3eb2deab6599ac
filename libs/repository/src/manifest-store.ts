import { randomBytes } from 'node:crypto';
import { assertBackupName, BackupError, systemErrorCode, toBackupError } from '@foodsave-backup/kernel';
import { decodeManifest, encodeManifest, sha256, type Manifest, type RepositoryKeys } from '@foodsave-backup/format';
import type { StorageBackend } from '@foodsave-backup/storage';
import { manifestCopyKey, manifestKey, nameOfManifestKey } from './layout.ts';

export interface ManifestListing {
  manifests: Manifest[];
  /** Neither copy can be read, with the reason of the first. Retention deletes nothing while there is one. */
  damaged: { name: string; reason: string }[];
  /** Published but never acknowledged: they do not count until they were checked. */
  unconfirmed: Manifest[];
  /** The first copy is missing or damaged and the second is good. */
  repairable: { name: string }[];
}

/** The two copies of each manifest; their order is the commit of a backup (FORMAT.md section 2). */
export class ManifestStore {
  readonly #storage: StorageBackend;
  readonly #keys: RepositoryKeys;
  readonly #cache = new Map<string, Manifest>();

  constructor(storage: StorageBackend, keys: RepositoryKeys) {
    this.#storage = storage;
    this.#keys = keys;
  }

  /** Every backup, newest first. */
  async list(signal?: AbortSignal): Promise<ManifestListing> {
    const { first, second } = await this.#copies();
    const listing: ManifestListing = { manifests: [], damaged: [], unconfirmed: [], repairable: [] };
    for (const name of new Set([...first, ...second])) {
      signal?.throwIfAborted();
      await this.#classify(name, first.has(name), second.has(name), listing);
    }
    listing.manifests.sort(newestFirst);
    listing.unconfirmed.sort(newestFirst);
    return listing;
  }

  /**
   * The backups that count, newest first, each read when it is asked for: who needs the newest does not pay for all. They come in
   * the order in which their second copies were written; where one is younger than it can be, as in a repository that was copied
   * without its times, all are read and come in the order of `list`.
   */
  async *newestFirst(signal?: AbortSignal): AsyncGenerator<Manifest> {
    const written: { name: string; at: number }[] = [];
    for await (const { key, modifiedAt: at } of this.#storage.list('manifests/')) {
      const name = nameOfManifestKey(key);
      if (name !== undefined) written.push({ name, at });
    }
    written.sort((a, b) => b.at - a.at);
    const told = new Set<string>();
    for (let next = 0; next < written.length;) {
      const { at: youngest = 0 } = written[next] ?? {};
      const listing: ManifestListing = { manifests: [], damaged: [], unconfirmed: [], repairable: [] };
      for (
        let one = written[next];
        one !== undefined && youngest - one.at <= FILE_TIME_GRAIN_MS;
        one = written[++next]
      ) {
        signal?.throwIfAborted();
        await this.#classify(one.name, true, true, listing);
      }
      const odd = listing.manifests.some(({ finishedAt }) => !(youngest - Date.parse(finishedAt) < COPIED_AFTER_MS));
      for (const manifest of odd ? (await this.list(signal)).manifests : listing.manifests.sort(newestFirst)) {
        if (told.has(manifest.name)) continue;
        told.add(manifest.name);
        yield manifest;
      }
      if (odd) return;
    }
  }

  /** As `list` tells it, but only by the backups of which a copy is missing: the others are not read. */
  async unsettled(): Promise<Pick<ManifestListing, 'unconfirmed' | 'repairable'>> {
    const { first, second } = await this.#copies();
    const listing: ManifestListing = { manifests: [], damaged: [], unconfirmed: [], repairable: [] };
    for (const name of first) if (!second.has(name)) await this.#classify(name, true, false, listing);
    for (const name of second) if (!first.has(name)) await this.#classify(name, false, true, listing);
    listing.unconfirmed.sort(newestFirst);
    return listing;
  }

  /** Names of both copies. */
  async #copies(): Promise<{ first: Set<string>; second: Set<string> }> {
    // The second copies are listed first: a backup that is published meanwhile then shows as unconfirmed, never as damaged.
    const second = namesIn(await this.#storage.keys('manifests/'));
    return { first: namesIn(await this.#storage.keys('')), second };
  }

  async #classify(name: string, hasFirst: boolean, hasSecond: boolean, listing: ManifestListing): Promise<void> {
    const one = hasFirst ? await this.#read(manifestKey(name), name) : undefined;
    if (one !== undefined && !('reason' in one)) {
      if (!hasSecond) listing.unconfirmed.push(one);
      else listing.manifests.push(one);
      return;
    }
    const two = hasSecond ? await this.#read(manifestCopyKey(name), name) : undefined;
    if (one === undefined && two === undefined) return;
    if (two !== undefined && !('reason' in two)) {
      listing.manifests.push(two);
      listing.repairable.push({ name });
      return;
    }
    listing.damaged.push({ name, reason: one?.reason ?? two?.reason ?? 'unknown' });
  }

  /** As `decodeManifest`; the same bytes are decoded once. */
  decode(bytes: Uint8Array): Manifest {
    const sum = sha256(bytes).toString('latin1');
    let manifest = this.#cache.get(sum);
    if (manifest === undefined) this.#cache.set(sum, (manifest = decodeManifest(this.#keys, bytes)));
    return manifest;
  }

  /** `undefined` when it vanished meanwhile: another process deleted the backup. */
  async #read(key: string, name: string): Promise<Manifest | { reason: string } | undefined> {
    let bytes: Uint8Array;
    try {
      bytes = await this.#storage.get(key);
    } catch (error) {
      return (await this.#storage.stat(key)) === undefined ? undefined : { reason: toBackupError(error).message };
    }
    try {
      const manifest = this.decode(bytes);
      return manifest.name === name ? manifest : { reason: `it is the manifest of "${manifest.name}"` };
    } catch (error) {
      const known = toBackupError(error);
      if (known.code === 'FORMAT_TOO_NEW') throw known;
      return { reason: known.message };
    }
  }

  /**
   * As `list`, and sure to have every backup of which one copy or the other was there all the time, whatever becomes of the
   * other copy meanwhile: who deletes data relies on it.
   */
  async listAll(signal?: AbortSignal): Promise<ManifestListing> {
    for (;;) {
      const before = await this.names();
      const listing = await this.list(signal);
      const found = [listing.manifests, listing.unconfirmed, listing.damaged].flatMap((all) => all.map((m) => m.name));
      const seen = new Set(found);
      const unseen = before.filter((name) => !seen.has(name));
      const left = await Promise.all(unseen.map((name) => this.#exists(name)));
      if (!left.includes(true)) return listing;
    }
  }

  async #exists(name: string): Promise<boolean> {
    for (const key of [manifestKey(name), manifestCopyKey(name)]) {
      if ((await this.#storage.stat(key)) !== undefined) return true;
    }
    return false;
  }

  /** One backup by its name, in the case in which it was written. Throws BACKUP_NOT_FOUND or MANIFEST_DAMAGED. */
  async get(name: string): Promise<Manifest> {
    assertBackupName(name);
    const hasSecond = (await this.#storage.stat(manifestCopyKey(name))) !== undefined;
    const listing: ManifestListing = { manifests: [], damaged: [], unconfirmed: [], repairable: [] };
    await this.#classify(name, (await this.#storage.stat(manifestKey(name))) !== undefined, hasSecond, listing);
    const [manifest] = listing.manifests;
    if (manifest !== undefined) return manifest;
    const [damaged] = listing.damaged;
    if (damaged !== undefined) {
      throw new BackupError('MANIFEST_DAMAGED', `The manifest of "${name}" is damaged: ${damaged.reason}`, {
        hint: 'Run "check". Other backups are not affected.',
      });
    }
    const known = (await this.names()).find((other) => other.toLowerCase() === name.toLowerCase());
    throw new BackupError('BACKUP_NOT_FOUND', `There is no backup named "${name}"`, {
      hint: known === undefined ? 'Run "list" to see the names.' : `Did you mean "${known}"?`,
    });
  }

  /** Names of all backups, confirmed or not. */
  async names(): Promise<string[]> {
    const { first, second } = await this.#copies();
    return [...new Set([...first, ...second])];
  }

  /** Whether this very backup, and not another of its name, is there and counts. */
  async holds({ name, id }: Pick<Manifest, 'name' | 'id'>): Promise<boolean> {
    const found = await this.get(name).catch((error: unknown) => {
      const { code } = toBackupError(error);
      if (code !== 'BACKUP_NOT_FOUND' && code !== 'MANIFEST_DAMAGED') throw error;
    });
    return found?.id === id;
  }

  /** Throws NAME_TAKEN when a backup of that name exists in any case. */
  async assertFree(name: string): Promise<void> {
    assertBackupName(name);
    const taken = (await this.names()).find((other) => other.toLowerCase() === name.toLowerCase());
    if (taken !== undefined) throw nameTaken(taken);
  }

  /** First copy: the backup exists, not yet confirmed. Throws NAME_TAKEN. Returns the bytes for `confirm`. */
  async publish(manifest: Manifest): Promise<Uint8Array> {
    const bytes = encodeManifest(this.#keys, manifest, randomBytes(32));
    const created = await this.#storage.put(manifestKey(manifest.name), bytes, { ifAbsent: true });
    // A repeated put may find what the first one wrote before its answer was lost.
    if (!created && Buffer.compare(await this.#storage.get(manifestKey(manifest.name)), bytes) !== 0) {
      throw nameTaken(manifest.name);
    }
    return bytes;
  }

  /**
   * Second copy: the backup is acknowledged. Throws LOCKED when its first copy is no longer there: whoever took this writer
   * for dead has removed it, and what it needs may be gone.
   */
  async confirm(name: string, bytes?: Uint8Array): Promise<void> {
    const body = bytes ?? (await this.#storage.get(manifestKey(name)));
    await this.#storage.put(manifestCopyKey(name), body);
    if (await this.#holds(manifestKey(name), body)) return;
    if (await this.#holds(manifestCopyKey(name), body)) await this.#storage.delete(manifestCopyKey(name));
    throw new BackupError('LOCKED', `Another process removed "${name}" before it was confirmed`, {
      hint: 'It took this run for dead. No backup was recorded; run it again.',
    });
  }

  /** Takes back what was published and not confirmed. */
  async withdraw(name: string, bytes: Uint8Array): Promise<void> {
    if (await this.#holds(manifestKey(name), bytes)) await this.#storage.delete(manifestKey(name));
  }

  async #holds(key: string, bytes: Uint8Array): Promise<boolean> {
    try {
      return Buffer.compare(await this.#storage.get(key), bytes) === 0;
    } catch (error) {
      if (isAbsent(error)) return false;
      throw error;
    }
  }

  /** Writes the missing or damaged first copy again from the second. */
  async restoreFirst(name: string): Promise<void> {
    const bytes = await this.#storage.get(manifestCopyKey(name));
    decodeManifest(this.#keys, bytes);
    await this.#storage.put(manifestKey(name), bytes);
  }

  /** The second copy goes first: from then on the backup is not confirmed, and a crash leaves nothing half-deleted that counts. */
  async delete(name: string): Promise<void> {
    await this.#storage.delete(manifestCopyKey(name));
    await this.#storage.delete(manifestKey(name));
  }
}

/** The coarsest times that file systems keep (FAT), in ms. */
const FILE_TIME_GRAIN_MS = 2000;
/** A manifest is written right after its backup has finished, or its file is a copy. */
const COPIED_AFTER_MS = 3_600_000;

function namesIn(keys: readonly string[]): Set<string> {
  return new Set(keys.map(nameOfManifestKey).filter((name) => name !== undefined));
}

function newestFirst(a: Manifest, b: Manifest): number {
  return Date.parse(b.createdAt) - Date.parse(a.createdAt) || (a.id < b.id ? 1 : -1);
}

function nameTaken(name: string): BackupError {
  return new BackupError('NAME_TAKEN', `A backup named "${name}" exists already`, {
    hint: 'Choose another name; names are compared without regard to case. A backup is never replaced.',
  });
}

/** Whether an error says that an object is absent. */
export function isAbsent(error: unknown): boolean {
  return systemErrorCode(error) === 'ENOENT' || (error instanceof BackupError && error.details?.['notFound'] === true);
}
