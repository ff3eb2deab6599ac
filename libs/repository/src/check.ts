import { BackupError, toBackupError } from '@foodsave-backup/kernel';
import {
  blobId,
  BLOB_KIND,
  FOLDERS,
  HEADER_BYTES,
  openDirectory,
  openFrame,
  packKey,
  parseKeyFile,
  readFooter,
  sha256,
  FOOTER_BYTES,
} from '@foodsave-backup/format';
import { hashOfKey, packObjectKey } from './layout.ts';
import { Marker, unusedPacks } from './reachable.ts';
import type { Repository } from './repository.ts';
import { missingPacks } from './session.ts';

export interface Damage {
  /** `pack`, `index`, `manifest`, `repository`, `file`. */
  kind: 'pack' | 'index' | 'manifest' | 'repository' | 'file';
  /** Object key, or the backup, component and path of a file. */
  what: string;
  reason: string;
  backup?: string;
  component?: string;
  path?: string;
}

export interface CheckReport {
  status: 'ok' | 'damaged';
  backups: number;
  packs: number;
  blobs: number;
  /** Bytes that were read and compared; only the structure without `readData`. */
  checkedBytes: number;
  damaged: Damage[];
  /** Not damage: what a crash may leave behind, and what cleanup will remove. */
  unreferencedPacks: number;
  unreferencedBytes: number;
  unconfirmed: string[];
}

export interface CheckOptions {
  /** Read every pack, decode every frame. */
  readData: boolean;
  /** Part `n` of `t` of the packs, by their names. */
  subset?: { n: number; t: number };
  progress?: (doneBytes: number, totalBytes: number) => void;
  signal?: AbortSignal;
}

/** Checks the whole repository: both copies of what is kept twice, every tree of every backup, and with `readData` every byte. */
export async function checkRepository(repository: Repository, options: CheckOptions): Promise<CheckReport> {
  const damaged: Damage[] = [];
  await checkTwins(repository, damaged);
  await checkKeyFiles(repository, damaged);
  const listing = await repository.manifests.list(options.signal);
  for (const { name, reason } of listing.damaged) damaged.push({ kind: 'manifest', what: name, reason, backup: name });
  for (const { name, missing } of listing.repairable) {
    damaged.push({
      kind: 'manifest',
      what: name,
      reason: `its ${missing} copy is missing or damaged; the other is good`,
      backup: name,
    });
  }
  const load = await repository.loadIndex(options.signal);
  for (const { key, reason } of load.damaged) damaged.push({ kind: 'index', what: key, reason });
  for (const key of await missingPacks(repository, load.index)) {
    damaged.push({ kind: 'pack', what: key, reason: 'it is missing or has another size' });
    const hash = hashOfKey(key);
    if (hash !== undefined) load.index.removePack(hash);
  }
  const checkedBytes = options.readData ? await checkPacks(repository, options, damaged) : 0;
  for (const damage of damaged) {
    const hash = damage.kind === 'pack' ? hashOfKey(damage.what) : undefined;
    if (hash !== undefined) load.index.removePack(hash);
  }
  const { blobs } = repository.reader(load);
  const marker = new Marker(repository, load.index, blobs);
  for (const manifest of listing.manifests) {
    await marker.mark(
      manifest,
      (component, { path, reason }) => {
        const what = `${manifest.name} ${component} ${path}`;
        damaged.push({ kind: 'file', what, reason, backup: manifest.name, component, path });
      },
      options.signal,
    );
  }
  const unused = unusedPacks(load.index, marker.usedPacks);
  return {
    status: damaged.length === 0 ? 'ok' : 'damaged',
    backups: listing.manifests.length,
    packs: load.index.packCount,
    blobs: load.index.blobCount,
    checkedBytes,
    damaged,
    unreferencedPacks: unused.length,
    unreferencedBytes: unused.reduce((sum, pack) => sum + pack.size, 0),
    unconfirmed: listing.unconfirmed.map((m) => m.name),
  };
}

/** `repository.json` and the manifests are kept twice; copies that differ are damage even while one is good. */
async function checkTwins(repository: Repository, damaged: Damage[]): Promise<void> {
  const { storage } = repository;
  const pairs: [string, string][] = [['repository.json', 'manifests/repository.json']];
  for await (const { key } of storage.list('manifests/')) {
    const name = key.slice('manifests/'.length);
    if (name !== 'repository.json') pairs.push([name, key]);
  }
  for (const [first, second] of pairs) {
    const a = await storage.get(first).catch(() => undefined);
    const b = await storage.get(second).catch(() => undefined);
    if (a !== undefined && b !== undefined && Buffer.compare(a, b) === 0) continue;
    // A missing first manifest is reported by the listing, with its backup.
    if (a === undefined && first !== 'repository.json') continue;
    const kind = first === 'repository.json' ? 'repository' : 'manifest';
    damaged.push({ kind, what: b === undefined ? second : first, reason: 'its two copies differ or one is missing' });
  }
}

/** The form and the checksum of every key file: a damaged one may be the only one that a person has the secret of. */
async function checkKeyFiles({ storage }: Repository, damaged: Damage[]): Promise<void> {
  for await (const { key } of storage.list('keys/')) {
    if (!key.endsWith('.json')) continue;
    try {
      parseKeyFile(await storage.get(key));
    } catch (error) {
      damaged.push({ kind: 'repository', what: key, reason: toBackupError(error).message });
    }
  }
}

async function checkPacks(repository: Repository, options: CheckOptions, damaged: Damage[]): Promise<number> {
  const packs: { key: string; size: number }[] = [];
  for (const folder of FOLDERS) {
    for await (const { key, size } of repository.storage.list(`${folder}/`)) {
      const hash = hashOfKey(key);
      if (hash === undefined) continue;
      const { subset } = options;
      if (subset !== undefined && hash.readUInt32LE(0) % subset.t !== subset.n - 1) continue;
      packs.push({ key, size });
    }
  }
  const total = packs.reduce((sum, pack) => sum + pack.size, 0);
  let done = 0;
  for (const { key, size } of packs) {
    options.signal?.throwIfAborted();
    try {
      await checkPack(repository, key);
    } catch (error) {
      const known = toBackupError(error);
      if (known.code === 'CANCELLED') throw known;
      damaged.push({ kind: 'pack', what: key, reason: known.message });
    }
    done += size;
    options.progress?.(done, total);
  }
  return done;
}

/** Name, header, directory, every frame and every blob id of one pack. */
async function checkPack(repository: Repository, key: string): Promise<void> {
  const { keys } = repository;
  const bytes = await repository.storage.get(key);
  const hash = hashOfKey(key);
  if (hash === undefined || !sha256(bytes).equals(hash))
    throw new BackupError('DATA_DAMAGED', 'its SHA-256 is not its name');
  const header = bytes.subarray(0, HEADER_BYTES);
  const place = readFooter(bytes.subarray(bytes.length - FOOTER_BYTES), bytes.length);
  const sealed = bytes.subarray(place.offset, place.offset + place.length);
  const { folder, blobs } = openDirectory(keys, header, sealed, bytes.length);
  if (packObjectKey(folder, hash) !== key)
    throw new BackupError('DATA_DAMAGED', 'it lies in another folder than it says');
  const frameKey = packKey(keys, header);
  for (const blob of blobs) {
    let at = blob.offset;
    for (const [i, frame] of blob.frames.entries()) {
      openFrame(frameKey, blob, i, bytes.subarray(at, at + frame.stored));
      at += frame.stored;
    }
    if (blob.kind !== BLOB_KIND.pageHashes && !blobId(keys, blob.kind, blob.frames).equals(blob.id)) {
      throw new BackupError('DATA_DAMAGED', 'a blob is not what its id says');
    }
  }
}
