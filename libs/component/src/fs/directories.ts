import { lstat, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Clock } from '@foodsave-backup/kernel';
import { layoutPath, OUTSIDE_DIRECTORY } from '../layout.ts';
import { fsPath, isAtOrBelow } from '../names.ts';
import type { DumpEntry, EntryMeta } from '../port.ts';
import { Anchor } from './anchor.ts';
import { Metadata } from './metadata.ts';
import { metaOf } from './read.ts';
import { splitPath } from './target-sink.ts';

/**
 * The directories between the base directory and a file of a component, as entries, outermost first: a component that is one
 * file keeps the modes of the way to it, as a walk does. Directories outside the base directory are not ours: none.
 */
export async function parentEntries(baseDir: string, path: string, clock: Clock): Promise<DumpEntry[]> {
  const entries: DumpEntry[] = [];
  for (let at = dirname(resolve(path)); ; at = dirname(at)) {
    const layout = layoutPath(baseDir, at);
    if (layout === '' || isAtOrBelow(layout, OUTSIDE_DIRECTORY)) break;
    const stats = await stat(fsPath(at), { bigint: true });
    entries.unshift({
      path: layout,
      kind: 'directory',
      meta: metaOf(stats, BigInt(clock.now()) * 1_000_000n),
      size: 0,
    });
  }
  return entries;
}

/**
 * Modes and times of restored directories, deepest first, once nothing is written below `root` any more. Components share
 * directories, so that only the one who restored all of them can do this. A place that is no directory is left alone.
 */
export async function applyDirectories(root: string, directories: ReadonlyMap<string, EntryMeta>): Promise<void> {
  const metadata = await Metadata.open();
  const anchor = await Anchor.open(root);
  try {
    const deepestFirst = [...directories].sort(([a], [b]) => b.split('/').length - a.split('/').length);
    for (const [path, meta] of deepestFirst) {
      const { parent, name } = splitPath(path);
      const directory = await anchor.directory(parent);
      if (directory === undefined) continue;
      const place = `${directory}/${name}`;
      const stats = await lstat(fsPath(place)).catch(() => undefined);
      if (stats?.isDirectory() === true) await metadata.applyToPath(place, 'directory', meta);
    }
  } finally {
    await anchor.close();
  }
}
