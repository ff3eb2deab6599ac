import type { StorageBackend } from '@foodsave-backup/storage';

/** Keys below a prefix, sorted. */
export async function keysBelow(storage: StorageBackend, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of storage.list(prefix)) keys.push(key);
  return keys.sort();
}

/** Everything that a storage holds below the folders of a repository: key → bytes as latin1. */
export async function contentsOf(storage: StorageBackend): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const folder of FOLDERS) {
    for (const key of await keysBelow(storage, folder))
      found[key] = Buffer.from(await storage.get(key)).toString('latin1');
  }
  return found;
}

export const PACK_FOLDERS = ['database/', 'files/', 'config/', 'vector_store/', 'meta/'] as const;
const FOLDERS = ['', 'keys/', ...PACK_FOLDERS, 'index/', 'manifests/', 'notes/', 'locks/'] as const;

/** Flips one bit of an object, in the middle unless told otherwise. Doing it twice mends it. */
export async function flip(storage: StorageBackend, key: string, at?: number): Promise<void> {
  const bytes = Buffer.from(await storage.get(key));
  const place = at ?? bytes.length >> 1;
  bytes[place] = (bytes[place] ?? 0) ^ 1;
  await storage.put(key, bytes);
}

/** Flips a bit in every 40th byte: nothing of it is good any more. Doing it twice mends it. */
export async function ruin(storage: StorageBackend, key: string): Promise<void> {
  const bytes = Buffer.from(await storage.get(key));
  for (let at = 20; at < bytes.length; at += 40) bytes[at] = (bytes[at] ?? 0) ^ 1;
  await storage.put(key, bytes);
}

export async function truncate(storage: StorageBackend, key: string): Promise<void> {
  const bytes = await storage.get(key);
  await storage.put(key, bytes.subarray(0, bytes.length - 7));
}

/** A storage that does something of its own around some operations. */
export function altered(backend: StorageBackend, changes: Partial<StorageBackend>): StorageBackend {
  return {
    capabilities: backend.capabilities,
    location: backend.location,
    put: (key, body, options) => backend.put(key, body, options),
    get: (key, range, options) => backend.get(key, range, options),
    stat: (key) => backend.stat(key),
    list: (prefix) => backend.list(prefix),
    keys: (prefix) => backend.keys(prefix),
    delete: (key) => backend.delete(key),
    close: () => backend.close(),
    ...changes,
  };
}
