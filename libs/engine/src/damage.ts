import { toBackupError } from '@foodsave-backup/kernel';
import { confirmDamage, type Repository } from '@foodsave-backup/repository';
import type { Source } from './restore-entries.ts';

/**
 * Notes the packs that a reader found damaged, so that the next backup stores again what they held. What a person should know
 * of it is told in sentences; where the repository cannot be written, that it was not noted.
 */
export async function noteDamage(repository: Repository, { blobs }: Source): Promise<string[]> {
  if (blobs.suspects.size === 0) return [];
  try {
    const packs = await confirmDamage(repository, blobs.suspects);
    return packs.map((key) => `${key} is damaged; the next backup stores again what it held. Run "check --read-data".`);
  } catch (error) {
    return [`The damage could not be noted in the repository: ${toBackupError(error).message}`];
  }
}
