import { decodeName, encodeName } from '@foodsave-backup/component';

/** A layout path as the names of a tree. */
export function pathToNames(path: string): Buffer[] {
  return path === '' ? [] : path.split('/').map((name) => encodeName(name));
}

/** The same for many paths, one behind the other: those of one directory share the names on the way. */
export class PathNames {
  #directory = '';
  #parents: readonly Buffer[] = [];

  of(path: string): Buffer[] {
    if (path === '') return [];
    const slash = path.lastIndexOf('/');
    const directory = slash < 0 ? '' : path.slice(0, slash);
    if (directory !== this.#directory) {
      this.#directory = directory;
      this.#parents = pathToNames(directory);
    }
    return [...this.#parents, encodeName(slash < 0 ? path : path.slice(slash + 1))];
  }
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
