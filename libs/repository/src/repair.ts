import { toBackupError } from '@foodsave-backup/kernel';
import type { IndexedPack } from '@foodsave-backup/format';
import { affectedBy, type Affected } from './affected.ts';
import { BlobIndex } from './blob-index.ts';
import { BlobReader } from './blob-reader.ts';
import { judgeIndexFiles, packFiles, writeIndexAnew } from './index-truth.ts';
import { quarantine, quarantineKey } from './quarantine.ts';
import { Marker } from './reachable.ts';
import type { Repository } from './repository.ts';
import { brokenTwins } from './twins.ts';

/**
 * `rewritten`: from its other copy, or from what the software knows it to be. `quarantined`: moved to `quarantine/`.
 * `moved`: to the folder where it belongs. `forgotten`: the index does not name it any more. `rebuilt`: an index file that
 * was damaged or did not say what the packs say. `left`: could not be mended.
 */
export type RepairVerb = 'rewritten' | 'quarantined' | 'moved' | 'forgotten' | 'rebuilt' | 'left';

export interface RepairAction {
  did: RepairVerb;
  /** Object key. */
  what: string;
  /** What was wrong with it. */
  reason: string;
  /** Where it went. */
  to?: string;
}

export interface RepairReport {
  dryRun: boolean;
  actions: RepairAction[];
  /** Blobs of damaged packs that are stored in new packs now. */
  salvagedBlobs: number;
  /** Their bytes, uncompressed. */
  salvagedBytes: number;
  /** What the damage costs after the repair. */
  affected: Affected;
}

export interface RepairOptions {
  /** Tells what would be done, and writes nothing. */
  dryRun: boolean;
  /** `RECOVERY.md` and `recover.mjs` as they have to be: name → bytes. */
  recoveryFiles: Readonly<Record<string, Uint8Array>>;
  progress?: (doneBytes: number, totalBytes: number) => void;
  signal?: AbortSignal;
}

/**
 * Rebuilds the index from the packs alone, and writes what is kept twice again from its good copy. The caller holds the repository
 * alone. The new index is durable before the old one goes; what it replaces of a manifest is kept in quarantine first. A
 * crash leaves both, and the next repair goes on. Nothing happens to what is as it should be.
 */
export async function repairIndex(repository: Repository, options: RepairOptions): Promise<RepairReport> {
  const actions = await mendTwins(repository, options);
  const packs = await directoriesOfPacks(repository, options, actions);
  const { files, unnamed } = await judgeIndexFiles(repository, packs);
  for (const { key, fault } of files) {
    if (fault !== undefined) actions.push({ did: 'rebuilt', what: key, reason: fault });
  }
  if (unnamed.length > 0) actions.push(unnamedPacks(unnamed.length));
  const wanting = unnamed.length > 0 || files.some(({ fault }) => fault !== undefined);
  if (wanting && !options.dryRun) {
    const old = files.map(({ key }) => key);
    const written = await writeIndexAnew(repository, packs.values(), old);
    for (const key of old) if (!written.has(key)) await repository.storage.delete(key);
  }
  const index = new BlobIndex();
  for (const pack of packs.values()) index.addPack(pack);
  const affected = await affectedWith(repository, index, options.signal);
  return { dryRun: options.dryRun, actions, salvagedBlobs: 0, salvagedBytes: 0, affected };
}

/** What is done about packs that no good index file names. */
export function unnamedPacks(count: number): RepairAction {
  const reason = count === 1 ? 'no good index file names one pack' : `no good index file names ${count} packs`;
  return { did: 'rebuilt', what: 'index/', reason };
}

/** What each pack says of itself; of one whose directory cannot be read, what the index knows of it. By hex hash. */
async function directoriesOfPacks(
  repository: Repository,
  { progress, signal }: RepairOptions,
  actions: RepairAction[],
): Promise<Map<string, IndexedPack>> {
  const known = (await repository.loadIndex(signal)).index;
  const packs = new Map<string, IndexedPack>();
  const files = await packFiles(repository);
  for (const [done, { key, folder, hash, size }] of files.entries()) {
    signal?.throwIfAborted();
    try {
      packs.set(hash.toString('hex'), await repository.indexStore.readPackDirectory(folder, hash, size));
    } catch (error) {
      const { code, message } = toBackupError(error);
      if (code === 'CANCELLED' || code === 'FORMAT_TOO_NEW') throw error;
      const blobs = [...known.blobsOf(hash)];
      if (blobs.length > 0) packs.set(hash.toString('hex'), { hash, folder, size, blobs });
      actions.push({ did: 'left', what: key, reason: `${message}. Run "repair packs".` });
    }
    progress?.(done + 1, files.length);
  }
  return packs;
}

/** Writes copies that are missing, damaged or differ from the good one, and the files for recovery. */
export async function mendTwins(repository: Repository, options: RepairOptions): Promise<RepairAction[]> {
  const { storage } = repository;
  const actions: RepairAction[] = [];
  for (const { bad, bytes, good, wanted, reason } of await brokenTwins(repository)) {
    if (good === undefined || wanted === undefined) {
      actions.push({ did: 'left', what: bad, reason: `${reason}; its other copy is no better` });
      continue;
    }
    const to = bytes === undefined ? {} : { to: quarantineKey(bad, bytes) };
    actions.push({ did: 'rewritten', what: bad, reason, ...to });
    if (options.dryRun) continue;
    if (bytes !== undefined) await quarantine(storage, bad, bytes);
    await storage.put(bad, wanted);
  }
  for (const [name, wanted] of Object.entries(options.recoveryFiles)) {
    const found = await storage.get(name).catch(() => undefined);
    if (found !== undefined && Buffer.compare(found, wanted) === 0) continue;
    const reason = found === undefined ? 'it is missing' : 'it is not the one of this software';
    actions.push({ did: 'rewritten', what: name, reason });
    if (!options.dryRun) await storage.put(name, wanted);
  }
  return actions;
}

/** What cannot be restored whole while the packs of `index` are all there is. */
export async function affectedWith(repository: Repository, index: BlobIndex, signal?: AbortSignal): Promise<Affected> {
  const blobs = new BlobReader(repository.storage, repository.keys, index);
  const { manifests } = await repository.manifests.list(signal);
  return affectedBy(new Marker(repository, index, blobs), manifests, signal);
}
