import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupError, printable, systemErrorCode } from '@foodsave-backup/kernel';
import { ENVIRONMENT_DIRECTORY, layoutPath, OUTSIDE_DIRECTORY } from '../layout.ts';
import { fsPath } from '../names.ts';
import { unreadable } from './read.ts';

/** Include roots as a tree of layout names, so that overlapping roots meet once and come in order. */
export interface RootNode {
  children: Map<string, RootNode>;
  /** This very path was asked for: everything below it belongs to the walk. */
  root: boolean;
}

/** Names directly in the base directory that have a meaning of their own in a layout. */
export const RESERVED_TOP_NAMES: readonly string[] = [OUTSIDE_DIRECTORY, ENVIRONMENT_DIRECTORY];

/** `roots`: absolute paths. A root below another one adds nothing, unless a pattern excludes what lies between. */
export async function rootTree(baseDir: string, roots: readonly string[]): Promise<RootNode> {
  const top: RootNode = { children: new Map(), root: false };
  const all = [...roots];
  if (roots.some((root) => layoutPath(baseDir, root) === '')) {
    for (const name of RESERVED_TOP_NAMES) {
      const path = join(baseDir, name);
      if (await lstat(fsPath(path)).catch(() => undefined)) all.push(path);
    }
  }
  for (const root of all) {
    const path = layoutPath(baseDir, root);
    let node = top;
    for (const segment of path === '' ? [] : path.split('/')) {
      let child = node.children.get(segment);
      if (!child) node.children.set(segment, (child = { children: new Map(), root: false }));
      node = child;
    }
    node.root = true;
  }
  return top;
}

/** The roots that exist, telling of the others. Throws SOURCE_MISSING when none does. */
export async function presentRoots(roots: readonly string[], missing: (root: string) => void): Promise<string[]> {
  const present: string[] = [];
  for (const root of roots) {
    const code = await lstat(fsPath(root)).then(
      () => undefined,
      (error: unknown) => systemErrorCode(error),
    );
    if (code === 'ENOENT' || code === 'ENOTDIR') missing(root);
    else present.push(root);
  }
  const [first] = roots;
  if (present.length === 0 && first !== undefined) throw missingRoot(first);
  return present;
}

/** Throws SOURCE_MISSING or SOURCE_UNREADABLE unless each root is a file, a directory or a link. */
export async function assertRoots(roots: readonly string[]): Promise<void> {
  for (const root of roots) {
    const stats = await lstat(fsPath(root)).catch((error: unknown) => {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT' || code === 'ENOTDIR') throw missingRoot(root, error);
      throw unreadable(root, error);
    });
    if (!stats.isFile() && !stats.isDirectory() && !stats.isSymbolicLink()) {
      throw new BackupError('SOURCE_UNREADABLE', `"${printable(root)}" is neither a file nor a directory`, {
        hint: 'Sockets, pipes and devices cannot be backed up. Correct the "include" list.',
      });
    }
  }
}

export function missingRoot(root: string, cause?: unknown): BackupError {
  return new BackupError('SOURCE_MISSING', `"${printable(root)}" does not exist`, {
    hint: 'Correct the path in the configuration, or mount what belongs there. A missing source is never an empty success.',
    cause,
  });
}
