import { LeaseStore, Repository, type LeaseView } from '@foodsave-backup/repository';
import type { EngineDeps } from './types.ts';

export interface UnlockResult {
  removed: LeaseView[];
  /** Held by a process that is alive here, or by someone who cannot be looked at from here and was not named. */
  kept: LeaseView[];
}

/** Leases are no secret: whoever has lost the key can look at them and clear them. Throws REPOSITORY_NOT_FOUND. */
async function leasesOf(deps: EngineDeps): Promise<LeaseStore> {
  await Repository.readInfo(deps.storage);
  return new LeaseStore(deps.storage, deps.clock);
}

export async function listLeases(deps: EngineDeps): Promise<LeaseView[]> {
  return (await leasesOf(deps)).list();
}

/** `force`: ids of leases of others that go although they have not expired. */
export async function unlock(deps: EngineDeps, force: readonly string[]): Promise<UnlockResult> {
  return (await leasesOf(deps)).clear(force);
}
