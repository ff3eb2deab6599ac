import { toBackupError } from '@foodsave-backup/kernel';
import { secureBackup, type Lease, type Manifest, type Repository } from '@foodsave-backup/repository';
import { withLease } from './opened.ts';
import { lastHold } from './views.ts';

export interface Settled {
  /** Backups that count from now on, or would. */
  confirmed: Manifest[];
  /** Names of what was never acknowledged and goes, or would. */
  removed: string[];
}

/**
 * What an interrupted create left: a manifest without its second copy. When everything it needs is there, the backup counts
 * and is confirmed, by the same rule as by its own writer: what it needs of condemned packs is stored again before.
 * Otherwise it was never acknowledged and goes. What could not be read just now stays as it is. Nothing happens while another
 * create may be about to confirm it, another run settles, or one deletes, whose work it would take for such a rest.
 *
 * A first copy that is missing is written again from the second; with `readAll`, which costs with every backup, one that is
 * damaged too.
 */
export async function settleUnconfirmed(
  repository: Repository,
  own: Lease,
  options: { readAll?: boolean } = {},
): Promise<Settled> {
  const nothing: Settled = { confirmed: [], removed: [] };
  const { manifests } = repository;
  const { unconfirmed, repairable } = await (options.readAll === true ? manifests.list() : manifests.unsettled());
  for (const { name } of repairable) await manifests.restoreFirst(name);
  if (unconfirmed.length === 0) return nothing;
  const conflicts = ['settle', 'cleanup', 'delete'];
  const request = { purpose: 'settle', exclusive: false, conflicts, besideOwn: own.id, waitMs: 0 };
  const settling = withLease(repository, request, async (lease) => {
    if (await repository.leases.isHeld('create', own.id)) return nothing;
    return settle(repository, lease);
  });
  return settling.catch((error: unknown) => {
    if (toBackupError(error).code !== 'LOCKED') throw error;
    return nothing;
  });
}

async function settle(repository: Repository, lease: Lease): Promise<Settled> {
  const settled: Settled = { confirmed: [], removed: [] };
  const notes = await repository.notes.list();
  for (const manifest of (await repository.manifests.unsettled()).unconfirmed) {
    const { lost, unread } = await secureBackup(repository, manifest);
    if (unread) continue;
    // Someone saw it as a backup before its second copy was lost.
    if (lost.length > 0 && lastHold({ id: manifest.id }, notes)?.note.on === true) continue;
    await lease.assertHeld();
    if (lost.length === 0) {
      await repository.manifests.confirm(manifest.name);
      settled.confirmed.push(manifest);
    } else {
      await repository.manifests.delete(manifest.name);
      settled.removed.push(manifest.name);
    }
  }
  return settled;
}
