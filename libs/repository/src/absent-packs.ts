import { FOLDERS } from '@foodsave-backup/format';
import type { BlobIndex } from './blob-index.ts';
import { hashOfKey, packObjectKey } from './layout.ts';
import type { Repository } from './repository.ts';

/** Packs on the storage and their sizes. */
async function presentPacks({ storage }: Pick<Repository, 'storage'>): Promise<Map<string, number>> {
  const present = new Map<string, number>();
  for (const folder of FOLDERS) {
    for await (const object of storage.list(`${folder}/`)) {
      const hash = hashOfKey(object.key);
      if (hash !== undefined) present.set(packObjectKey(folder, hash), object.size);
    }
  }
  return present;
}

/** Object keys of indexed packs that are missing, have another size, or are named by `damaged`. */
export async function packsToAvoid(
  repository: Pick<Repository, 'storage'>,
  index: BlobIndex,
  damaged: ReadonlySet<string>,
): Promise<string[]> {
  const present = await presentPacks(repository);
  const avoid: string[] = [];
  for (const pack of index.packs()) {
    const key = packObjectKey(pack.folder, pack.hash);
    if (present.get(key) !== pack.size || damaged.has(key)) avoid.push(key);
  }
  return avoid;
}

/** Indexed packs that are missing or have another size. */
export function absentPacks(repository: Pick<Repository, 'storage'>, index: BlobIndex): Promise<string[]> {
  return packsToAvoid(repository, index, new Set());
}
