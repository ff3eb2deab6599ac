import { createHash } from 'node:crypto';
import type { Manifest } from '@foodsave-backup/format';
import type { Marker } from './reachable.ts';

/** Files that are listed one by one; the counts go on beyond them. */
const FILES_LISTED = 1000;
/** Backups that are named for one file. */
const BACKUPS_NAMED = 100;

/** A file, or a directory (`/` for the root) whose entries cannot be read, and the backups that need what it lost. */
export interface AffectedFile {
  component: string;
  path: string;
  reason: string;
  /** Newest first, the first 100. */
  backups: string[];
  backupCount: number;
}

/** What damage costs. */
export interface Affected {
  /** Names of the backups that cannot be restored whole, newest first. */
  backups: string[];
  /** Different files, each counted once however many backups hold it. */
  fileCount: number;
  /** The first 1,000 of them. */
  files: AffectedFile[];
}

/** Walks every backup, and tells which files of which backups are not whole. Manifests come newest first. */
export async function affectedBy(
  marker: Marker,
  manifests: readonly Manifest[],
  signal?: AbortSignal,
): Promise<Affected> {
  const affected: Affected = { backups: [], fileCount: 0, files: [] };
  // By a short hash: the paths of a million files would be too much to keep.
  const seen = new Map<string, AffectedFile | undefined>();
  for (const manifest of manifests) {
    const found = { any: false };
    await marker.mark(
      manifest,
      (component, { path, reason }) => {
        found.any = true;
        const key = createHash('sha256').update(`${component}\0${path}`).digest('base64url').slice(0, 16);
        if (!seen.has(key)) {
          affected.fileCount++;
          const listed = affected.files.length < FILES_LISTED;
          const entry: AffectedFile | undefined = listed
            ? { component, path, reason, backups: [], backupCount: 0 }
            : undefined;
          if (entry !== undefined) affected.files.push(entry);
          seen.set(key, entry);
        }
        const file = seen.get(key);
        if (file === undefined || file.backups.at(-1) === manifest.name) return;
        file.backupCount++;
        if (file.backups.length < BACKUPS_NAMED) file.backups.push(manifest.name);
      },
      signal,
    );
    if (found.any) affected.backups.push(manifest.name);
  }
  return affected;
}
