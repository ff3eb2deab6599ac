import { open } from 'node:fs/promises';
import { constants } from 'node:fs';
import { fsPath } from '../names.ts';

/**
 * What this file needs of the `ignore` package: the matcher is handed in, so that this library stays free of it. Paths are
 * relative to where the patterns are anchored; a directory's path ends with `/`.
 */
export interface PatternMatcher {
  test(path: string): { ignored: boolean; unignored: boolean };
  add(patterns: string | readonly string[]): unknown;
}

export type Verdict = 'exclude' | 'include' | 'undecided';

/** Decides about the children of one directory. */
export interface FilterScope {
  excludes(path: string, isDirectory: boolean): boolean;
  /** The scope for the children of a directory that was not excluded. `directory` is its absolute path. */
  enter(path: string, directory: string): Promise<FilterScope>;
}

export interface TreeFilter {
  /** The scope for an included directory. `anchor`: the layout path that patterns with a slash are relative to. */
  root(anchor: string, path: string, directory: string): Promise<FilterScope>;
}

export interface PatternFilterOptions {
  /** Makes an empty, case-sensitive matcher: `() => ignore({ ignorecase: false })`. */
  newMatcher: () => PatternMatcher;
  /** Patterns of the configuration. They outrank the files. */
  exclude: readonly string[];
  /** Name of the file in a directory that holds patterns for it and what lies below; absent: none is read. */
  ignoreFile?: string;
}

/** Larger files of patterns are not read: they are not lists of patterns. */
const MAX_IGNORE_FILE = 1024 * 1024;
/** The `ignore` package remembers each path it has tested; a fresh matcher after so many keeps memory bounded. */
const RENEW_AFTER = 4096;

class Matcher {
  readonly anchor: string;
  private readonly newMatcher: () => PatternMatcher;
  private matcher: PatternMatcher;
  private readonly patterns: string | readonly string[];
  private tests = 0;

  constructor(anchor: string, newMatcher: () => PatternMatcher, patterns: string | readonly string[]) {
    this.anchor = anchor;
    this.newMatcher = newMatcher;
    this.patterns = patterns;
    this.matcher = newMatcher();
    this.matcher.add(patterns);
  }

  test(path: string, isDirectory: boolean): Verdict {
    if (++this.tests > RENEW_AFTER) {
      this.matcher = this.newMatcher();
      this.matcher.add(this.patterns);
      this.tests = 0;
    }
    const relative = this.anchor === '' ? path : path.slice(this.anchor.length + 1);
    const { ignored, unignored } = this.matcher.test(isDirectory ? `${relative}/` : relative);
    return ignored ? 'exclude' : unignored ? 'include' : 'undecided';
  }
}

/**
 * Patterns in `.gitignore` syntax (https://git-scm.com/docs/gitignore): those of the configuration first, then the nearest
 * ignore file, then the ones above it; the first that decides wins.
 */
export function patternFilter(options: PatternFilterOptions): TreeFilter {
  const scope = (matchers: readonly Matcher[]): FilterScope => ({
    excludes(path, isDirectory) {
      for (const matcher of matchers) {
        const verdict = matcher.test(path, isDirectory);
        if (verdict !== 'undecided') return verdict === 'exclude';
      }
      return false;
    },
    async enter(path, directory) {
      const text =
        options.ignoreFile === undefined ? undefined : await readIgnoreFile(`${directory}/${options.ignoreFile}`);
      if (text === undefined) return this;
      const [first, ...rest] = matchers;
      return scope([...(first ? [first] : []), new Matcher(path, options.newMatcher, text), ...rest]);
    },
  });
  return {
    root: (anchor, path, directory) => {
      let matcher = new Matcher(anchor, options.newMatcher, options.exclude);
      // An include root that a pattern excludes was named on purpose: the patterns then count from it.
      if (path === anchor || matcher.test(path, true) === 'exclude')
        matcher = new Matcher(path, options.newMatcher, options.exclude);
      return scope([matcher]).enter(path, directory);
    },
  };
}

/** The text of an ignore file; undefined where there is none, or it is no small regular file. */
async function readIgnoreFile(path: string): Promise<string | undefined> {
  const handle = await open(fsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    () => undefined,
  );
  if (!handle) return undefined;
  try {
    const stats = await handle.stat();
    if (!stats.isFile() || stats.size > MAX_IGNORE_FILE) return undefined;
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}
