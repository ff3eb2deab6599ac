import type { Manifest } from '@foodsave-backup/repository';
import type { HoldNote, StoredNote, VerificationNote } from '@foodsave-backup/repository';
import type { RetentionBackup } from '@foodsave-backup/retention';
import type { BackupComponentView, BackupView, VerificationView } from './types.ts';

/** Reading back what was new says more of the bytes than a look at presence and sizes. */
const RANK = { none: 0, quick: 1, new: 2, full: 3 } as const;

/** The notes of each backup by its id, so that many views do not look through all notes each. */
export function notesByBackup(notes: readonly StoredNote[]): (id: string) => readonly StoredNote[] {
  const grouped = Map.groupBy(notes, ({ note }) => ('backup' in note ? note.backup : ''));
  return (id) => grouped.get(id) ?? [];
}

/** Verifications of one backup, oldest first. */
function notesOf(manifest: Manifest, notes: readonly StoredNote[]): VerificationNote[] {
  return notes.flatMap(({ note }) => (note.type === 'verification' && note.backup === manifest.id ? [note] : []));
}

/** What was said last of holding a backup: by its id, or by its name while its manifest, which has the id, cannot be read. */
export function lastHold(
  of: { id: string } | { name: string },
  notes: readonly StoredNote[],
): { key: string; note: HoldNote } | undefined {
  const isOf = (note: HoldNote): boolean => ('id' in of ? note.backup === of.id : note.name === of.name);
  const holds = notes.flatMap(({ key, note }) => (note.type === 'hold' && isOf(note) ? [{ key, note }] : []));
  return holds.at(-1);
}

export function holdView(note: HoldNote | undefined): Pick<BackupView, 'hold' | 'holdReason'> {
  if (note?.on !== true) return { hold: false };
  return { hold: true, ...(note.reason === undefined ? {} : { holdReason: note.reason }) };
}

/**
 * What is known of a backup's integrity. Damage found by the latest look wins; otherwise the strongest level that
 * succeeded since the last damage, with the time of its latest success.
 */
function verificationOf(manifest: Manifest, notes: readonly StoredNote[]): VerificationView {
  let view: VerificationView = { level: 'none', status: 'none' };
  const own = manifest.verification;
  if (own?.level === 'new') view = { level: 'new', status: 'ok', at: own.at };
  for (const note of notesOf(manifest, notes)) {
    if (note.status === 'damaged') view = { level: note.level, status: 'damaged', at: note.at };
    // A quick look cannot take back what a full one found.
    else if (view.status === 'damaged' && RANK[note.level] < RANK[view.level]) continue;
    else if (view.status !== 'ok' || RANK[note.level] >= RANK[view.level]) {
      view = { level: note.level, status: 'ok', at: note.at };
    }
  }
  return view;
}

export function backupView(
  manifest: Manifest,
  notes: readonly StoredNote[],
  tiers: readonly string[] = [],
): BackupView {
  const verification = verificationOf(manifest, notes);
  const components: Record<string, BackupComponentView> = {};
  for (const [instance, c] of Object.entries(manifest.components)) {
    const { type, status, files, sizeBytes, storedBytes, capturedAt, facts, error } = c;
    const view: BackupComponentView = { type, status, files, sizeBytes, storedBytes, facts };
    if (capturedAt !== undefined) view.capturedAt = capturedAt;
    if (error !== undefined) view.error = error;
    components[instance] = view;
  }
  const failed = Object.values(components).find((c) => c.error !== undefined)?.error;
  return {
    name: manifest.name,
    id: manifest.id,
    status: verification.status === 'damaged' ? 'damaged' : manifest.status,
    createdAt: manifest.createdAt,
    finishedAt: manifest.finishedAt,
    durationMs: manifest.durationMs,
    trigger: manifest.trigger,
    tags: manifest.tags,
    sizeBytes: manifest.sizeBytes,
    storedBytes: manifest.storedBytes,
    components,
    verification,
    ...holdView(lastHold({ id: manifest.id }, notes)?.note),
    tiers: [...tiers],
    ...(failed === undefined ? {} : { error: failed }),
  };
}

/** What retention is told of a backup. */
export function retentionView(manifest: Manifest, notes: readonly StoredNote[]): RetentionBackup {
  const view = backupView(manifest, notes);
  const full = notesOf(manifest, notes).findLast((note) => note.level === 'full' && note.status === 'ok');
  const damage = notesOf(manifest, notes).findLast((note) => note.status === 'damaged');
  const { name, createdAt, status, trigger, hold } = view;
  return {
    ...{ name, createdAt, status, trigger, hold },
    ...(full === undefined || status === 'damaged' ? {} : { fullyVerifiedAt: full.at }),
    ...(status === 'damaged' && damage !== undefined ? { damagedSince: damage.at } : {}),
  };
}
