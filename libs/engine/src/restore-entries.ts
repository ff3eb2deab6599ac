import { toBackupError, type BackupError } from '@foodsave-backup/kernel';
import { contentSource, decodeName, type RestoreEntry } from '@foodsave-backup/component';
import type { FileEntry, ManifestComponent, TreeEntry } from '@foodsave-backup/repository';
import { FilesAhead, readPieces, type BlobReader, type TreeReader } from '@foodsave-backup/repository';
import { digestOf, toEntryMeta } from './entry-meta.ts';
import { namesToPath, wanted } from './names-path.ts';

export interface Source {
  blobs: BlobReader;
  trees: TreeReader;
}

/** Told of a directory (`/` for the top) of which some or all entries cannot be read; the others follow all the same. */
export type Damaged = (path: string, error: BackupError) => void;

/**
 * Entries of a component in the dump's order; of those not asked for only the directories above. Without `damaged` a tree that
 * cannot be read throws DATA_DAMAGED.
 */
export async function* restoreEntries(
  source: Source,
  component: ManifestComponent,
  paths: readonly string[] | undefined,
  damaged?: Damaged,
): AsyncGenerator<RestoreEntry> {
  if (component.root === undefined) return;
  const root = Buffer.from(component.root, 'hex');
  for await (const { entry } of below({ source, damaged }, root, [], paths)) yield entry;
}

/** Entries that are known before they are handed out, for their contents to be loaded. */
const AHEAD_ENTRIES = 1024;

/** The same for who reads the contents in this order: those of the next files are loaded meanwhile. */
export async function* restoreEntriesAhead(
  source: Source,
  component: ManifestComponent,
  paths: readonly string[] | undefined,
  damaged: Damaged,
): AsyncGenerator<RestoreEntry> {
  if (component.root === undefined) return;
  const most = source.blobs.aheadBytes;
  const ahead = new FilesAhead(source.blobs);
  const waiting: { give: () => RestoreEntry | undefined; bytes: number }[] = [];
  let loading = 0;
  const tellLater: Damaged = (path, error) => {
    const give = (): undefined => {
      damaged(path, error);
    };
    waiting.push({ give, bytes: 0 });
  };
  const found = below({ source, damaged: tellLater }, Buffer.from(component.root, 'hex'), [], paths);
  for await (const { entry, file } of found) {
    const bytes = file === undefined ? 0 : ahead.add(file, Math.max(0, most - loading));
    loading += bytes;
    waiting.push({ give: () => entry, bytes });
    if (waiting.length < AHEAD_ENTRIES && loading < most) continue;
    ahead.flush();
    // Down to half, so that what comes next is loaded in large pieces.
    yield* handOut(() => waiting.length > AHEAD_ENTRIES / 2 || loading > most / 2);
  }
  ahead.flush();
  yield* handOut(() => waiting.length > 0);

  function* handOut(whether: () => boolean): Generator<RestoreEntry> {
    while (whether()) {
      const next = waiting.shift();
      loading -= next?.bytes ?? 0;
      const entry = next?.give();
      if (entry !== undefined) yield entry;
    }
  }
}

interface Found {
  entry: RestoreEntry;
  /** Of a file. */
  file?: FileEntry;
}

interface Walk {
  source: Source;
  damaged: Damaged | undefined;
}

async function* below(
  walk: Walk,
  tree: Buffer,
  parents: Buffer[],
  paths: readonly string[] | undefined,
): AsyncGenerator<Found> {
  const { source, damaged } = walk;
  try {
    for await (const entry of source.trees.entries(tree)) {
      const names = [...parents, entry.name];
      const path = namesToPath(names);
      const want = wanted(path, paths);
      if (want === 'no' || (want === 'above' && entry.type !== 'directory')) continue;
      // A place without a meaning of its own is made by whoever writes below it.
      if (entry.type !== 'directory' || entry.implied !== true) {
        yield { entry: toRestoreEntry(source, path, entry), ...(entry.type === 'file' ? { file: entry } : {}) };
      }
      if (entry.type === 'directory') yield* below(walk, entry.tree, names, want === 'yes' ? undefined : paths);
    }
  } catch (error) {
    const known = toBackupError(error);
    if (damaged === undefined || known.code !== 'DATA_DAMAGED') throw error;
    damaged(namesToPath(parents) || '/', known);
  }
}

function toRestoreEntry(source: Source, path: string, entry: TreeEntry): RestoreEntry {
  const meta = toEntryMeta(entry);
  if (entry.type === 'symlink') {
    return { path, kind: 'symlink', meta, size: 0, linkTarget: decodeName(entry.target) };
  }
  if (entry.type === 'directory' || entry.type === 'fifo') return { path, kind: entry.type, meta, size: 0 };
  const { size, link, holeBytes } = entry;
  return {
    ...{ path, kind: 'file', meta, size, ...digestOf(entry) },
    ...(link === undefined ? {} : { link: { id: link } }),
    ...(holeBytes === undefined ? {} : { holeBytes }),
    content: contentSource((options) => readPieces(source.blobs, entry, options)),
  };
}
