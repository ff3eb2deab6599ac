import { BackupError } from '@foodsave-backup/kernel';
import { BlobIndex } from './blob-index.ts';
import { FOLDERS } from '@foodsave-backup/format';
import { hashOfKey, packObjectKey } from './layout.ts';
import { Marker } from './reachable.ts';
import type { Repository } from './repository.ts';
import { missingPacks } from './session.ts';

export interface PruneReport {
  /** Packs deleted, or that would be. */
  packs: number;
  freedBytes: number;
}

/**
 * Deletes packs that no backup needs. The caller holds the repository alone. `doomed`: backups that are to be counted as
 * deleted (for a dry run). The index without the packs is durable before the first pack goes, so that a crash leaves
 * packs that nothing names, and the next prune removes them.
 *
 * Throws REPOSITORY_DAMAGED while a manifest or a tree cannot be read: what it needs is unknown then.
 */
export async function prunePacks(
  repository: Repository,
  options: { dryRun: boolean; doomed: ReadonlySet<string>; signal?: AbortSignal },
): Promise<PruneReport> {
  const listing = await repository.manifests.list(options.signal);
  if (listing.damaged.length > 0) throw blocked(`the manifest of "${listing.damaged[0]?.name ?? ''}" cannot be read`);
  const load = await repository.loadIndex(options.signal);
  // A blob that lies in a lost pack and in a good one is needed from the good one.
  const lost = await missingPacks(repository, load.index);
  for (const key of lost) {
    const hash = hashOfKey(key);
    if (hash !== undefined) load.index.removePack(hash);
  }
  const { blobs } = repository.reader(load);
  const marker = new Marker(repository, load.index, blobs);
  for (const manifest of [...listing.manifests, ...listing.unconfirmed]) {
    if (options.doomed.has(manifest.name)) continue;
    await marker.mark(
      manifest,
      (component, what) => {
        throw blocked(`"${manifest.name}" is damaged (${component} ${what.path}: ${what.reason})`);
      },
      options.signal,
    );
  }
  const kept = new BlobIndex();
  for (const pack of load.index.packs()) {
    if (marker.usedPacks.has(pack.hash.toString('hex')))
      kept.addPack({ ...pack, blobs: [...load.index.blobsOf(pack.hash)] });
  }
  const garbage: { key: string; size: number }[] = [];
  for (const folder of FOLDERS) {
    for await (const { key, size } of repository.storage.list(`${folder}/`)) {
      const hash = hashOfKey(key);
      if (hash !== undefined && packObjectKey(folder, hash) === key && !kept.hasPack(hash)) garbage.push({ key, size });
    }
  }
  const report = { packs: garbage.length, freedBytes: garbage.reduce((sum, pack) => sum + pack.size, 0) };
  const stale = lost.length > 0 || load.damaged.length > 0;
  if (options.dryRun || (garbage.length === 0 && !stale)) return report;
  await repository.indexStore.replace(kept, load.files);
  for (const { key } of load.damaged) await repository.storage.delete(key);
  for (const { key } of garbage) await repository.storage.delete(key);
  return report;
}

function blocked(reason: string): BackupError {
  return new BackupError('REPOSITORY_DAMAGED', `No space is freed because ${reason}`, {
    hint: 'Run "check", repair or delete what is damaged, then run cleanup again. No pack was deleted.',
  });
}
