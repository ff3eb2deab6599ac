import { decodeName, encodeName } from '@foodsave-backup/component';

/** A layout path as the names of a tree. */
export function pathToNames(path: string): Buffer[] {
  return path === '' ? [] : path.split('/').map((name) => encodeName(name));
}

export function namesToPath(names: readonly Uint8Array[]): string {
  return names.map((name) => decodeName(name)).join('/');
}

/** Whether a path is wanted, lies above something wanted, or neither. No list means everything. */
export function wanted(path: string, paths: readonly string[] | undefined): 'yes' | 'above' | 'no' {
  if (paths === undefined) return 'yes';
  if (paths.some((p) => path === p || path.startsWith(`${p}/`))) return 'yes';
  return paths.some((p) => p.startsWith(`${path}/`)) ? 'above' : 'no';
}
