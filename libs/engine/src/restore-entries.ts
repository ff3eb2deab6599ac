import { toBackupError, type BackupError } from '@foodsave-backup/kernel';
import { contentSource, decodeName, type RestoreEntry } from '@foodsave-backup/component';
import type { ManifestComponent, TreeEntry } from '@foodsave-backup/repository';
import { readPieces, type BlobReader, type TreeReader } from '@foodsave-backup/repository';
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
  yield* below({ source, damaged }, Buffer.from(component.root, 'hex'), [], paths);
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
): AsyncGenerator<RestoreEntry> {
  const { source, damaged } = walk;
  try {
    for await (const entry of source.trees.entries(tree)) {
      const names = [...parents, entry.name];
      const path = namesToPath(names);
      const want = wanted(path, paths);
      if (want === 'no' || (want === 'above' && entry.type !== 'directory')) continue;
      // A place without a meaning of its own is made by whoever writes below it.
      if (entry.type !== 'directory' || entry.implied !== true) yield toRestoreEntry(source, path, entry);
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
    content: contentSource(() => readPieces(source.blobs, entry)),
  };
}
