import { BackupError, isoTime } from '@foodsave-backup/kernel';
import type { Repository } from './repository.ts';

/** Packs that prunes have written off, and the notes that say so. */
export interface Condemned {
  /** Keys of packs. */
  packs: ReadonlySet<string>;
  notes: readonly { key: string; packs: readonly string[] }[];
  /** Notes that cannot be read: what they name is unknown. */
  unreadable: readonly string[];
}

/** Packs of a note at most, so that its content stays small. */
const PACKS_PER_NOTE = 50_000;

export async function readCondemned(repository: Repository): Promise<Condemned> {
  const { condemned, unreadable } = await repository.notes.scan();
  return { packs: new Set(condemned.flatMap(({ packs }) => packs)), notes: condemned, unreadable };
}

/**
 * Writes packs off for good. From then on no writer relies on them: one that began earlier finds the note before it
 * confirms (see `secureBackup`), and one that begins later never takes them into its index.
 */
export async function condemn(repository: Repository, packs: readonly string[]): Promise<void> {
  for (let at = 0; at < packs.length; at += PACKS_PER_NOTE) {
    const note = { type: 'condemned' as const, at: isoTime(repository.clock) };
    await repository.notes.add({ ...note, packs: packs.slice(at, at + PACKS_PER_NOTE) });
  }
}

/**
 * As `readCondemned`, for a writer that is about to rely on packs. Throws LOCKED while a note cannot be read and a prune is
 * at work, which may mean just that note; without a prune at work nothing is going to be deleted.
 */
export async function readCondemnedToRely(repository: Repository): Promise<Condemned> {
  const condemned = await readCondemned(repository);
  const [first] = condemned.unreadable;
  if (first === undefined) return condemned;
  for (const purpose of PRUNERS) {
    if (!(await repository.leases.isHeld(purpose))) continue;
    throw new BackupError('LOCKED', `Space is being freed, and ${first}, which may say what goes, cannot be read`, {
      hint: 'Try again when that has finished.',
    });
  }
  return condemned;
}

/** Purposes of the leases under which packs are deleted. */
const PRUNERS = ['cleanup', 'delete'] as const;
