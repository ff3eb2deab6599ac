import { sha256 } from '@foodsave-backup/format';
import { MAX_OBJECT_BYTES, type StorageBackend } from '@foodsave-backup/storage';

/**
 * Where a damaged object is kept: its key, the names joined by dots, and the start of the SHA-256 of what it was found to be.
 * The same bytes always go to the same place, and others never replace them.
 */
export function quarantineKey(key: string, bytes: Uint8Array): string {
  return `quarantine/${key.replaceAll('/', '.')}.${sha256(bytes).toString('hex', 0, 6)}`;
}

/** Copies a damaged object to quarantine; durable when it resolves. `undefined` for one that is too large to be copied. */
export async function quarantine(storage: StorageBackend, key: string, bytes: Uint8Array): Promise<string | undefined> {
  if (bytes.length > MAX_OBJECT_BYTES) return undefined;
  const to = quarantineKey(key, bytes);
  await storage.put(to, bytes);
  return to;
}

/** What lies in quarantine: number and bytes. */
export async function quarantined(storage: StorageBackend): Promise<{ objects: number; bytes: number }> {
  const sum = { objects: 0, bytes: 0 };
  for await (const { size } of storage.list('quarantine/')) {
    sum.objects++;
    sum.bytes += size;
  }
  return sum;
}
