import { BackupError, printable } from '@foodsave-backup/kernel';
import { decodeName } from '@foodsave-backup/component';
import { FOLDERS, type Manifest, type StoredNote, type TreeEntry } from '@foodsave-backup/repository';
import type { Repository } from '@foodsave-backup/repository';
import { planOf } from './cleanup.ts';
import { pathToNames } from './names-path.ts';
import { openRepository } from './opened.ts';
import type {
  BackupPage,
  BackupView,
  EngineDeps,
  ListQuery,
  StatsView,
  TreeListing,
  TreeListingEntry,
} from './types.ts';
import { backupView, holdView, lastHold, notesByBackup } from './views.ts';

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1000;

/** Every backup as a view, newest first, with its tiers; those with a damaged manifest as far as they are known. */
export async function allBackups(deps: EngineDeps, repository: Repository): Promise<BackupView[]> {
  const listing = await repository.manifests.list();
  const scan = await repository.notes.scan();
  const notesOf = notesByBackup(scan.notes);
  const plan = planOf(deps, listing, scan);
  const tiers = new Map(plan.kept.map((kept) => [kept.name, kept.tiers]));
  const views = listing.manifests.map((manifest) =>
    backupView(manifest, notesOf(manifest.id), tiers.get(manifest.name) ?? []),
  );
  const unreadable = [...listing.damaged].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { name, reason } of unreadable) views.push(damagedView(name, reason, scan.notes));
  return views;
}

export function damagedView(name: string, reason: string, notes: readonly StoredNote[]): BackupView {
  const hint = 'Run "check". Retention deletes nothing until it is repaired or deleted.';
  const error = { code: 'MANIFEST_DAMAGED', message: `The manifest cannot be read: ${reason}`, hint };
  const unknown = new Date(0).toISOString();
  return {
    ...{
      name,
      id: '',
      status: 'damaged',
      createdAt: unknown,
      finishedAt: unknown,
      durationMs: 0,
      trigger: 'unknown',
      tags: [],
    },
    ...{
      sizeBytes: 0,
      storedBytes: 0,
      components: {},
      verification: { level: 'none', status: 'damaged' },
      ...holdView(lastHold({ name }, notes)?.note),
      tiers: [],
      error,
    },
  };
}

export async function listBackups(deps: EngineDeps, query: ListQuery): Promise<BackupPage> {
  const repository = await openRepository(deps);
  const q = query.q?.toLowerCase();
  const matches = (await allBackups(deps, repository)).filter(
    (backup) =>
      (query.status === undefined || backup.status === query.status) &&
      (query.component === undefined ||
        Object.entries(backup.components).some(
          ([instance, c]) => instance === query.component || c.type === query.component,
        )) &&
      (q === undefined ||
        backup.name.toLowerCase().includes(q) ||
        backup.tags.some((tag) => tag.toLowerCase().includes(q))),
  );
  const limit = Math.min(Math.max(1, query.limit ?? LIMIT_DEFAULT), LIMIT_MAX);
  const start = query.cursor === undefined ? 0 : afterCursor(matches, query.cursor);
  const items = matches.slice(start, start + limit);
  const last = items.at(-1);
  const more = last !== undefined && start + limit < matches.length;
  return { items, total: matches.length, ...(more ? { nextCursor: cursorOf(last) } : {}) };
}

function cursorOf(backup: BackupView): string {
  return Buffer.from(JSON.stringify([backup.createdAt, backup.id, backup.name])).toString('base64url');
}

/** Backups made meanwhile are newer and do not shift the page; a deleted one does not end it. */
function afterCursor(backups: readonly BackupView[], cursor: string): number {
  let at: unknown;
  try {
    at = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    at = undefined;
  }
  if (!Array.isArray(at) || at.length !== 3 || !at.every((part) => typeof part === 'string')) {
    throw new BackupError('VALIDATION_FAILED', 'The cursor is not one that a list gave', {
      hint: 'Leave it out to start at the newest backup.',
    });
  }
  const [createdAt, id, name] = at as [string, string, string];
  const next = backups.findIndex((b) => {
    if (b.createdAt !== createdAt) return b.createdAt < createdAt;
    // Those whose manifest cannot be read have no id and stand at the end, by name.
    return b.id === id ? b.name > name : b.id < id;
  });
  return next < 0 ? backups.length : next;
}

export async function showBackup(deps: EngineDeps, name: string): Promise<BackupView> {
  const repository = await openRepository(deps);
  const manifest = await repository.manifests.get(name);
  return (await allBackups(deps, repository)).find((b) => b.name === manifest.name) ?? backupView(manifest, []);
}

/** The entries of one directory over all components; `''` is the top. */
export async function listTree(deps: EngineDeps, name: string, path: string, component?: string): Promise<TreeListing> {
  const repository = await openRepository(deps);
  const manifest = await repository.manifests.get(name);
  const { trees } = repository.reader(await repository.loadIndex());
  const clean = path.replace(/^\.?\/+|\/+$/g, '').replace(/^\.$/, '');
  const entries = new Map<string, TreeListingEntry>();
  let found = clean === '';
  for (const [, stored] of chosen(manifest, component)) {
    if (stored.root === undefined) continue;
    const root = Buffer.from(stored.root, 'hex');
    const names = pathToNames(clean);
    const at = names.length === 0 ? undefined : await trees.find(root, names);
    if (names.length > 0 && at === undefined) continue;
    found = true;
    if (at !== undefined && at.type !== 'directory') entries.set(clean, listingEntry(clean, at));
    else {
      for await (const entry of trees.entries(at?.tree ?? root)) {
        const here = clean === '' ? decodeName(entry.name) : `${clean}/${decodeName(entry.name)}`;
        merge(entries, listingEntry(here, entry));
      }
    }
  }
  if (!found) {
    throw new BackupError('PATH_NOT_FOUND', `"${printable(path)}" is not in "${manifest.name}"`, {
      hint: 'Run "ls" without a path to see the top of the backup.',
    });
  }
  const sorted = [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return { name: manifest.name, path: clean, entries: sorted, ...(component === undefined ? {} : { component }) };
}

function chosen(manifest: Manifest, component: string | undefined): [string, Manifest['components'][string]][] {
  const all = Object.entries(manifest.components);
  if (component === undefined) return all;
  const some = all.filter(([instance, c]) => instance === component || c.type === component);
  if (some.length > 0) return some;
  throw new BackupError('COMPONENT_UNKNOWN', `"${manifest.name}" has no component "${printable(component)}"`, {
    hint: `It has: ${all.map(([instance]) => instance).join(', ')}.`,
  });
}

/** Components share directories (`data/`): their sums are shown together. */
function merge(entries: Map<string, TreeListingEntry>, entry: TreeListingEntry): void {
  const known = entries.get(entry.path);
  if (known?.type !== 'directory' || entry.type !== 'directory') {
    entries.set(entry.path, entry);
    return;
  }
  known.sizeBytes += entry.sizeBytes;
  known.files = (known.files ?? 0) + (entry.files ?? 0);
}

function listingEntry(path: string, entry: TreeEntry): TreeListingEntry {
  const modifiedAt = new Date(Number(entry.mtimeNs / 1_000_000n)).toISOString();
  const base = { path, mode: entry.mode, modifiedAt };
  switch (entry.type) {
    case 'file':
      return {
        ...{ ...base, type: 'file', sizeBytes: entry.size },
        ...(entry.sha256 === undefined ? {} : { sha256: entry.sha256.toString('hex') }),
      };
    case 'directory':
      if (entry.implied === true)
        return { path, type: 'directory', sizeBytes: entry.bytes ?? 0, files: entry.files ?? 0 };
      return { ...base, type: 'directory', sizeBytes: entry.bytes ?? 0, files: entry.files ?? 0 };
    case 'symlink':
      return { ...base, type: 'symlink', sizeBytes: 0, linkTarget: decodeName(entry.target) };
    case 'fifo':
      return { ...base, type: 'fifo', sizeBytes: 0 };
  }
}

export async function stats(deps: EngineDeps): Promise<StatsView> {
  const repository = await openRepository(deps);
  const backups = await allBackups(deps, repository);
  const byFolder: StatsView['byFolder'] = {};
  let storedBytes = 0;
  let packs = 0;
  for (const folder of FOLDERS) {
    const sum = { packs: 0, bytes: 0 };
    for await (const { size } of repository.storage.list(`${folder}/`)) {
      sum.packs++;
      sum.bytes += size;
    }
    if (sum.packs > 0) byFolder[folder] = sum;
    storedBytes += sum.bytes;
    packs += sum.packs;
  }
  const byComponent: StatsView['byComponent'] = {};
  for (const backup of backups) {
    for (const [instance, c] of Object.entries(backup.components)) {
      const sum = (byComponent[instance] ??= { backups: 0, sizeBytes: 0, storedBytes: 0 });
      sum.backups++;
      sum.sizeBytes += c.sizeBytes;
      sum.storedBytes += c.storedBytes;
    }
  }
  const logicalBytes = backups.reduce((sum, b) => sum + b.sizeBytes, 0);
  const known = backups.filter((b) => b.id !== '');
  const count = (status: string): number => backups.filter((b) => b.status === status).length;
  const [newest] = known;
  const oldest = known.at(-1);
  return {
    backups: backups.length,
    complete: count('complete'),
    partial: count('partial'),
    damaged: count('damaged'),
    logicalBytes,
    storedBytes,
    dedupRatio: storedBytes === 0 ? 0 : Math.round((logicalBytes / storedBytes) * 100) / 100,
    packs,
    ...(oldest === undefined ? {} : { oldest: oldest.createdAt }),
    ...(newest === undefined ? {} : { newest: newest.createdAt }),
    growth: known
      .map((b) => ({ name: b.name, at: b.createdAt, storedBytes: b.storedBytes, sizeBytes: b.sizeBytes }))
      .reverse(),
    byComponent,
    byFolder,
  };
}
