import { Marker, missingPacks, hashOfKey, type Repository } from '@foodsave-backup/repository';
import { lastHold } from './views.ts';

/**
 * What an interrupted create left: a manifest without its second copy. When everything it needs is there, the backup counts
 * and is confirmed; otherwise it was never acknowledged and goes. What could not be read just now stays as it is. Nothing happens while another create may be about to confirm it.
 */
export async function settleUnconfirmed(
  repository: Repository,
  ownLease: string,
): Promise<{ confirmed: string[]; removed: string[] }> {
  const settled = { confirmed: [] as string[], removed: [] as string[] };
  const { unconfirmed, repairable } = await repository.manifests.list();
  for (const { name, missing } of repairable) if (missing === 'first') await repository.manifests.restoreFirst(name);
  if (unconfirmed.length === 0 || (await repository.leases.isHeld('create', ownLease))) return settled;
  const load = await repository.loadIndex();
  for (const key of await missingPacks(repository, load.index)) {
    const hash = hashOfKey(key);
    if (hash !== undefined) load.index.removePack(hash);
  }
  const notes = await repository.notes.list();
  for (const manifest of unconfirmed) {
    const { blobs } = repository.reader(load);
    const found = { whole: true, unread: false };
    await new Marker(repository, load.index, blobs).mark(manifest, (_instance, { unread }) => {
      found.whole = false;
      found.unread ||= unread;
    });
    if (found.unread) continue;
    if (found.whole) await repository.manifests.confirm(manifest.name);
    // Someone saw it as a backup before its second copy was lost.
    else if (lastHold({ id: manifest.id }, notes)?.note.on === true) continue;
    else await repository.manifests.delete(manifest.name);
    (found.whole ? settled.confirmed : settled.removed).push(manifest.name);
  }
  return settled;
}
