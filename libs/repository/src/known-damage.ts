import { isoTime } from '@foodsave-backup/kernel';
import type { BlobIndex } from './blob-index.ts';
import { hashOfKey } from './layout.ts';
import type { DamageNote, NoteStore, StoredNote } from './notes.ts';
import { examinePack, readableBlobs } from './pack-examination.ts';
import type { Repository } from './repository.ts';

interface Known {
  packs: Set<string>;
  notes: string[];
}

/** Object keys of the packs that notes call damaged. */
export async function knownDamage(notes: NoteStore): Promise<Set<string>> {
  return known(await notes.list()).packs;
}

function known(notes: readonly StoredNote[]): Known {
  const damage = notes.flatMap(({ key, note }): { key: string; note: DamageNote }[] =>
    note.type === 'damage' ? [{ key, note }] : [],
  );
  return { packs: new Set(damage.flatMap(({ note }) => note.packs)), notes: damage.map(({ key }) => key) };
}

/**
 * Notes what was found: packs (object keys) that are damaged, and packs that are whole or gone; with `instead`, `damaged` is all
 * there is. One note with all that is
 * known takes the place of the older ones; a crash between the two leaves both, which say the same or more.
 */
export async function rememberDamage(
  repository: Repository,
  found: { damaged: Iterable<string>; cleared: Iterable<string>; instead?: boolean },
): Promise<void> {
  const { notes, clock } = repository;
  const before = known(await notes.list());
  const packs = new Set([...(found.instead === true ? [] : before.packs), ...found.damaged]);
  for (const key of found.cleared) packs.delete(key);
  if (packs.size === before.packs.size && [...packs].every((key) => before.packs.has(key))) return;
  if (packs.size > 0) await notes.add({ type: 'damage', at: isoTime(clock), packs: [...packs].sort() });
  await notes.delete(before.notes);
}

/** Has `index` forget what is damaged of the packs that notes name, which are read for that. */
export async function forgetDamage(repository: Repository, index: BlobIndex): Promise<void> {
  for (const key of await knownDamage(repository.notes)) {
    const hash = hashOfKey(key);
    const pack = hash === undefined ? undefined : [...index.packs()].find((one) => one.hash.equals(hash));
    if (pack === undefined) continue;
    const indexed = index.blobsOf(pack.hash);
    const blobs = readableBlobs(await examinePack(repository, key, indexed), indexed);
    index.removePack(pack.hash);
    if (blobs.length > 0) index.addPack({ ...pack, blobs });
  }
}

/** Reads packs that a reader could not use, and notes those that are damaged indeed. Returns them. */
export async function confirmDamage(repository: Repository, suspects: Iterable<string>): Promise<string[]> {
  const damaged: string[] = [];
  for (const key of suspects) {
    const { reason, gone } = await examinePack(repository, key);
    if (reason !== undefined && !gone) damaged.push(key);
  }
  await rememberDamage(repository, { damaged, cleared: [] });
  return damaged;
}
