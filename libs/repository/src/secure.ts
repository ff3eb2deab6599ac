import { blobLength, type BlobEntry, type Manifest } from '@foodsave-backup/format';
import type { BlobIndex, BlobLocation, PackRef } from './blob-index.ts';
import { readCondemnedToRely } from './condemned.ts';
import { BlobCopier } from './copier.ts';
import { knownDamage } from './known-damage.ts';
import { packObjectKey } from './layout.ts';
import { loadPresent, presentKeys, removePacks } from './present.ts';
import { holds } from './prune-select.ts';
import { Marker } from './reachable.ts';
import type { Repository } from './repository.ts';
import type { Usage } from './usage.ts';

export interface Secured {
  /** Instances of which something is nowhere any more; none: everything the backup needs is safe. */
  lost: string[];
  /** Something could not be read just now, so that nothing is known of it. */
  unread: boolean;
  /** Keys of packs that no writer may rely on: written off by a prune, gone, or known to be damaged. */
  gone: ReadonlySet<string>;
}

/** Looks at what moves while it is looked at: so many times at most. */
const ROUNDS_MAX = 6;

/**
 * Makes a published backup independent of everything that a prune has written off: what it needs from condemned packs is
 * copied into new ones that are durable and indexed. Call it after the manifest is published and before it is confirmed;
 * docs/decisions/prune-beside-create.md says why that order is enough.
 *
 * `relied`: keys of the packs that the backup can need at all, when they are known. If none of them is written off or
 * gone, its trees need not be walked.
 */
export async function secureBackup(
  repository: Repository,
  manifest: Manifest,
  options: { relied?: readonly string[]; signal?: AbortSignal } = {},
): Promise<Secured> {
  const bad = new Set<string>();
  for (let round = 1; ; round++) {
    // The order matters: a note goes only after its packs, so that a pack that is there, and that no note read before names,
    // is one that no prune has written off yet.
    const condemned = await readCondemnedToRely(repository);
    const damaged = await knownDamage(repository.notes);
    if (options.relied !== undefined) {
      const present = await presentKeys(repository);
      const gone = new Set(
        options.relied.filter((key) => condemned.packs.has(key) || damaged.has(key) || !present.has(key)),
      );
      if (gone.size === 0) return { lost: [], unread: false, gone };
    }
    const { load, missing } = await loadPresent(repository, options.signal, damaged);
    removePacks(load.index, bad);
    const lost = new Set<string>();
    let unread = false;
    const marker = new Marker(repository, load.index, repository.reader(load).blobs);
    const report = (instance: string, what: { unread: boolean }): void => {
      lost.add(instance);
      unread ||= what.unread;
    };
    await marker.mark(manifest, report, options.signal);
    const stranded = strandedBlobs(load.index, marker.usage, condemned.packs);
    const failed = await copyOut(repository, stranded);
    if (failed.length > 0 && round < ROUNDS_MAX) {
      // Gone meanwhile, or damaged: the next look finds another copy, or names what is lost with it.
      if (round > 2) for (const key of failed) bad.add(key);
      continue;
    }
    const relied = options.relied ?? [];
    const present = new Set([...load.index.packs()].map((pack) => packObjectKey(pack.folder, pack.hash)));
    const gone = new Set([...condemned.packs, ...missing, ...bad, ...relied.filter((key) => !present.has(key))]);
    return { lost: [...lost], unread, gone };
  }
}

/** What is needed and lies in condemned packs only, by pack. */
function strandedBlobs(index: BlobIndex, usage: Usage, condemned: ReadonlySet<string>): Map<PackRef, BlobEntry[]> {
  const stranded = new Map<PackRef, BlobEntry[]>();
  if (condemned.size === 0) return stranded;
  const isCondemned = ({ pack }: BlobLocation): boolean => condemned.has(packObjectKey(pack.folder, pack.hash));
  for (const id of usage.ids()) {
    const places = index.all(id).filter(({ blob }) => holds(blob, usage.of(id, blobLength(blob)) ?? []));
    if (!places.every(isCondemned)) continue;
    for (const { pack, blob } of places.slice(0, 1)) stranded.set(pack, [...(stranded.get(pack) ?? []), blob]);
  }
  return stranded;
}

/** Returns the keys of the packs of which something could not be copied. */
async function copyOut(
  repository: Repository,
  stranded: ReadonlyMap<PackRef, readonly BlobEntry[]>,
): Promise<string[]> {
  const copier = new BlobCopier(repository);
  const failed: string[] = [];
  for (const [pack, blobs] of stranded) {
    if ((await copier.copy(pack, blobs)).length > 0) failed.push(packObjectKey(pack.folder, pack.hash));
  }
  await repository.indexStore.write(await copier.finish());
  return failed;
}
