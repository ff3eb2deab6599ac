import { isAbsolute, join, resolve } from 'node:path';
import { BackupError, assert, printable } from '@foodsave-backup/kernel';
import { assertLayoutPath, isAtOrBelow } from './names.ts';

/** Where things outside the directory of the configuration file lie in a backup, by their absolute path. */
export const OUTSIDE_DIRECTORY = '_outside';
/** Where the values of environment variables lie in a backup. They have no live path. */
export const ENVIRONMENT_DIRECTORY = '_environment';

/**
 * The layout path of an absolute path: relative to `baseDir`, or `_outside/<absolute path>`. A name directly in `baseDir`
 * that is itself `_outside` or `_environment` is written as an outside path, so that no two live paths share a layout path.
 * `baseDir` itself has the empty path, which is no entry.
 */
export function layoutPath(baseDir: string, absolutePath: string): string {
  assert(isAbsolute(baseDir) && isAbsolute(absolutePath), 'layoutPath() needs absolute paths');
  const base = resolve(baseDir);
  const path = resolve(absolutePath);
  if (path === base) return '';
  const prefix = base === '/' ? '/' : `${base}/`;
  if (path.startsWith(prefix)) {
    const relative = path.slice(prefix.length);
    if (!isReserved(relative)) return relative;
  }
  return path === '/' ? OUTSIDE_DIRECTORY : `${OUTSIDE_DIRECTORY}${path}`;
}

/** The absolute path for a layout path: the inverse of `layoutPath`. Throws TARGET_INVALID for an unsafe one or one without a live place. */
export function livePath(baseDir: string, path: string): string {
  assert(isAbsolute(baseDir), 'livePath() needs an absolute base directory');
  if (path === '') return resolve(baseDir);
  assertLayoutPath(path);
  if (isAtOrBelow(path, ENVIRONMENT_DIRECTORY)) {
    throw new BackupError('TARGET_INVALID', `"${printable(path)}" has no live path`, {
      hint: 'Environment variables are kept for reference. Restore them to a target directory and set them by hand.',
    });
  }
  if (path === OUTSIDE_DIRECTORY) return '/';
  if (path.startsWith(`${OUTSIDE_DIRECTORY}/`)) return path.slice(OUTSIDE_DIRECTORY.length);
  return join(resolve(baseDir), path);
}

function isReserved(relative: string): boolean {
  return isAtOrBelow(relative, OUTSIDE_DIRECTORY) || isAtOrBelow(relative, ENVIRONMENT_DIRECTORY);
}
