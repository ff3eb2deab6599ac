import { FOLDERS } from '@foodsave-backup/format';
import type { BlobIndex } from './blob-index.ts';
import type { IndexLoad } from './index-store.ts';
import { hashOfKey, packObjectKey } from './layout.ts';
import type { Repository } from './repository.ts';

const ROUNDS_MAX = 8;

/** Packs on the storage: key → size in bytes and time of modification. */
export async function presentPacks(repository: Repository): Promise<Map<string, { size: number; modifiedAt: number }>> {
  const present = new Map<string, { size: number; modifiedAt: number }>();
  for (const folder of FOLDERS) {
    for await (const { key, size, modifiedAt } of repository.storage.list(`${folder}/`)) {
      const hash = hashOfKey(key);
      if (hash !== undefined && packObjectKey(folder, hash) === key) present.set(key, { size, modifiedAt });
    }
  }
  return present;
}

/** Object keys of the packs on the storage. */
export async function presentKeys({ storage }: Repository): Promise<Set<string>> {
  const folders = await Promise.all(FOLDERS.map((folder) => storage.keys(`${folder}/`)));
  return new Set(folders.flat());
}

/** Indexed packs that are missing, have another size, or are to be avoided. */
function missingPacks({ index, present }: IndexLoad, avoid: ReadonlySet<string>): string[] {
  const missing: string[] = [];
  for (const pack of index.packs()) {
    const key = packObjectKey(pack.folder, pack.hash);
    if (present.get(key) !== pack.size || avoid.has(key)) missing.push(key);
  }
  return missing;
}

/**
 * The index without the packs that are missing or have another size, and without those in `avoid`; both are returned too. A
 * pack that a prune deletes meanwhile is not missing: it is named no more by the index that was durable before.
 */
export async function loadPresent(
  repository: Repository,
  signal?: AbortSignal,
  avoid: ReadonlySet<string> = new Set(),
): Promise<{ load: IndexLoad; missing: string[] }> {
  let before: string[] = [];
  for (let round = 1; ; round++) {
    const load = await repository.loadIndex(signal);
    const missing = missingPacks(load, avoid);
    if (missing.every((key) => before.includes(key) || avoid.has(key)) || round === ROUNDS_MAX) {
      removePacks(load.index, missing);
      return { load, missing };
    }
    before = missing;
  }
}

export function removePacks(index: BlobIndex, keys: Iterable<string>): void {
  for (const key of keys) {
    const hash = hashOfKey(key);
    if (hash !== undefined) index.removePack(hash);
  }
}
