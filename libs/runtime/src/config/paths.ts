import { realpath } from 'node:fs/promises';
import path from 'node:path';
import type { ComponentSpec } from '@foodsave-backup/contracts/types';
import type { ConfigProblem } from './problems.ts';

/** Absolute paths of what belongs to the backup software, and what it protects. */
export interface Layout {
  baseDir: string;
  repositoryPath: string;
  stateDir: string;
  /** Files that hold the key; empty without encryption. */
  keyFiles: readonly string[];
  logFile: string;
  components: readonly ComponentSpec[];
}

const SEPARATE =
  'Give the repository, the state directory and the components directories of their own, beside each other.';

/**
 * Refuses layouts that eat themselves: a component that would back up the repository, the state directory or the key, a
 * component inside the repository, a key or state inside the repository. Compares real paths, so that a symbolic link
 * hides nothing; what does not exist yet counts as where it would be made. Include patterns with wildcards are left to the
 * drivers, which know what they match.
 */
export async function layoutProblems(layout: Layout): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = [];
  const repository = await real(layout.repositoryPath);
  const state = await real(layout.stateDir);
  const keys = await Promise.all(layout.keyFiles.map(real));
  const refuse = (key: string, reason: string, hint: string): void => void problems.push({ key, reason, hint });

  if (contains(repository, state)) refuse('the state directory', 'lies inside the repository', SEPARATE);
  else if (contains(state, repository)) refuse('repository', 'lies inside the state directory', SEPARATE);
  if (keys.some((key) => contains(repository, key))) {
    refuse('the key file', 'lies inside the repository, so that whoever takes the backups has their key', SEPARATE);
  }
  if (contains(repository, await real(layout.logFile))) refuse('logging.file', 'lies inside the repository', SEPARATE);

  for (const component of layout.components) {
    for (const [key, written] of sourcePaths(component)) {
      const source = await real(path.resolve(layout.baseDir, written));
      const subject = `components: ${key} of ${component.instance}`;
      const narrower = 'Name the directories that hold data one by one, or move what is ours somewhere else.';
      if (contains(source, repository))
        refuse(subject, 'contains the repository, which would back up itself', narrower);
      else if (contains(repository, source)) refuse(subject, 'lies inside the repository', SEPARATE);
      else if (contains(source, state)) refuse(subject, 'contains the state directory, and with it our key', narrower);
      else if (keys.some((file) => contains(source, file))) refuse(subject, 'contains the key file', narrower);
    }
  }
  return problems;
}

/** The paths without wildcards that a component's configuration names under `path` and `include`, each with its key. */
function sourcePaths(component: ComponentSpec): [string, string][] {
  const out: [string, string][] = [];
  for (const key of ['path', 'include']) {
    const value = component.config[key];
    const list: unknown[] = Array.isArray(value) ? value : [value];
    for (const [i, item] of list.entries()) {
      if (typeof item !== 'string' || item === '' || item.includes('\0')) continue;
      const directory = item.replace(/(\/\*\*)?(\/\*)?$/, '') || '/';
      if (/[*?[\]{}!]/.test(directory) || /^[a-z][a-z0-9+.-]*:\/\//i.test(item)) continue;
      out.push([Array.isArray(value) ? `${key}[${String(i)}]` : key, directory]);
    }
  }
  return out;
}

/** Whether `inner` is `outer` or lies below it. Both absolute and normalised. */
export function contains(outer: string, inner: string): boolean {
  const relative = path.relative(outer, inner);
  return relative === '' || (relative !== '..' && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative));
}

/** The real path of the nearest ancestor that exists, with the rest appended. */
export async function real(absolute: string): Promise<string> {
  let existing = absolute;
  const rest: string[] = [];
  for (;;) {
    try {
      return path.join(await realpath(existing), ...rest);
    } catch {
      // Absent, forbidden or a loop: whatever it is, its parent tells where it lies.
      const parent = path.dirname(existing);
      if (parent === existing) return absolute;
      rest.unshift(path.basename(existing));
      existing = parent;
    }
  }
}
