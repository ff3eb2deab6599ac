import { toBackupError } from '@foodsave-backup/kernel';
import type { LeaseRequest, Lease } from './leases.ts';
import type { Repository } from './repository.ts';

/** So many index files of about one size become one: a reader then opens few, and no pack is written to the index often. */
const MANY = 16;
/** Sizes of a class differ by this factor at most, so that a merged file is of a higher class than those it replaces. */
const CLASS = 8;
/** The largest size of the lowest class, in bytes. */
const LOWEST_BYTES = 4096;
/** Larger files stay as they are: what is made of sixteen of them is still one object of a moderate size. */
const MERGED_BYTES_MAX = 1024 * 1024;

/**
 * Which index files are to become one: those of the lowest size class that has many, and smaller ones. None as long as there are
 * few. Beside n backups there are then some multiple of log n files, and each entry was written log n times.
 */
export function selectMerge(files: readonly { key: string; size: number }[]): string[] {
  for (let limit = LOWEST_BYTES; limit <= MERGED_BYTES_MAX; limit *= CLASS) {
    const ofClass = files.filter(({ size }) => size <= limit && (size > limit / CLASS || limit === LOWEST_BYTES));
    if (ofClass.length < MANY) continue;
    return files.filter(({ size }) => size <= limit).map(({ key }) => key);
  }
  return [];
}

/**
 * Merges index files when there are many. It changes nothing of what the index says, but a prune beside it would: what deletes is
 * kept out by the lease under which rests are settled. Nothing happens while another one holds it; a later backup does it then.
 */
export async function mergeIndex(repository: Repository, own: Lease, signal?: AbortSignal): Promise<void> {
  if (selectMerge(await indexFiles(repository)).length === 0) return;
  const conflicts = ['settle', 'cleanup', 'delete'];
  const request: LeaseRequest = { purpose: 'settle', exclusive: false, conflicts, besideOwn: own.id, waitMs: 0 };
  const lease = await repository.leases.acquire(request).catch((error: unknown) => {
    if (toBackupError(error).code !== 'LOCKED') throw error;
  });
  if (lease === undefined) return;
  try {
    // Once more: they were listed before the lease kept anyone out.
    await repository.indexStore.mergeFiles(selectMerge(await indexFiles(repository)), () => lease.assertHeld(), signal);
  } finally {
    await lease.release();
  }
}

async function indexFiles({ storage }: Repository): Promise<{ key: string; size: number }[]> {
  const files: { key: string; size: number }[] = [];
  for await (const { key, size } of storage.list('index/')) files.push({ key, size });
  return files;
}
