import type { BigIntStats } from 'node:fs';
import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { systemErrorCode, throwIfCancelled } from '@foodsave-backup/kernel';
import { layoutPath, OUTSIDE_DIRECTORY } from '../layout.ts';
import { compareNames, decodeName, fsPath, isAtOrBelow } from '../names.ts';
import type { ComponentWarning, DumpEntry, PreviousEntry } from '../port.ts';
import { inOrder } from './in-order.ts';
import type { FilterScope, TreeFilter } from './patterns.ts';
import { metaOf, openFile, unreadable } from './read.ts';
import { assertRoots, missingRoot, presentRoots, RESERVED_TOP_NAMES, rootTree, type RootNode } from './roots.ts';

/** Directories in which a live restore stages files. They are never captured. */
export const STAGE_PREFIX = '.foodsave-backup-stage-';

const STAT_BATCH = 64;
const READ_AHEAD = 4;

export interface WalkOptions {
  /** Absolute; layout paths are relative to it. */
  baseDir: string;
  /** Absolute files or directories; may overlap. */
  roots: readonly string[];
  signal: AbortSignal;
  warn: (warning: ComponentWarning) => void;
  /** Start of the capture, nanoseconds since the epoch, by the clock that stamps the files. */
  startedNs: bigint;
  filter?: TreeFilter;
  /** Roots that do not exist are left out with a warning (a safety backup saves what is left), unless none exists. */
  skipMissing?: boolean;
  /** Directories on other file systems are emitted, but not entered. */
  oneFileSystem?: boolean;
  /** False: only look (for estimates and plans); files are neither opened nor read. */
  content?: boolean;
  previous?: (path: string) => PreviousEntry | undefined | Promise<PreviousEntry | undefined>;
}

/** What a walk has met so far. */
export interface WalkStats {
  files: number;
  directories: number;
  links: number;
  bytes: number;
  changedWhileRead: number;
  unreadable: number;
  vanished: number;
  special: number;
  /** Names of files that have other names too. Each is stored and restored as a file of its own. */
  hardLinked: number;
  unchanged: number;
  /** Something that should have been captured was not, or not in one consistent state. */
  incomplete: boolean;
}

interface Place {
  /** Absolute path. */
  path: string;
  layout: string;
}

interface Directory extends Place {
  node: RootNode | undefined;
  /** Undefined while only passing through on the way to an include root. */
  scope: FilterScope | undefined;
  device: bigint;
}

interface Found extends Place {
  node: RootNode | undefined;
  stats: BigIntStats;
  root: boolean;
}

interface Prepared {
  entry?: DumpEntry;
  warnings: ComponentWarning[];
  close?: () => Promise<void>;
}

/**
 * Walks include roots in the order of the port: parents before children, siblings by bytes. Links are never followed, and
 * pipes, sockets and devices never opened. Holds the names of one directory per level, never the tree. What cannot be read
 * becomes a warning (UNREADABLE, VANISHED, SPECIAL_FILE_SKIPPED, CHANGED_WHILE_READ) and `stats.incomplete`; a missing
 * include root is SOURCE_MISSING. The directories between the base directory and a root are emitted too, for their modes.
 */
export class TreeWalk {
  readonly stats: WalkStats = {
    files: 0,
    directories: 0,
    links: 0,
    bytes: 0,
    changedWhileRead: 0,
    unreadable: 0,
    vanished: 0,
    special: 0,
    hardLinked: 0,
    unchanged: 0,
    incomplete: false,
  };
  private readonly options: WalkOptions;

  constructor(options: WalkOptions) {
    this.options = options;
  }

  async *entries(): AsyncGenerator<DumpEntry, void, undefined> {
    const { baseDir } = this.options;
    const roots = this.options.skipMissing === true ? await this.present() : this.options.roots;
    await assertRoots(roots);
    const node = await rootTree(baseDir, roots);
    const path = resolve(baseDir);
    const top: Directory = { path, layout: '', node, scope: undefined, device: 0n };
    if (node.root) {
      top.device = (await lstat(fsPath(path), { bigint: true })).dev;
      top.scope = await this.rootScope(top);
    }
    yield* this.walk(top);
  }

  private present(): Promise<string[]> {
    return presentRoots(this.options.roots, (root) => {
      const path = layoutPath(this.options.baseDir, root);
      this.options.warn({ code: 'SOURCE_MISSING', message: 'It does not exist', path });
    });
  }

  private async *walk(directory: Directory): AsyncGenerator<DumpEntry, void, undefined> {
    const names = await this.names(directory);
    for (let at = 0; at < names.length; at += STAT_BATCH) {
      throwIfCancelled(this.options.signal);
      const looks = await Promise.all(names.slice(at, at + STAT_BATCH).map((name) => this.look(directory, name)));
      let run: Found[] = [];
      for (const found of looks) {
        if (!found) continue;
        if (!found.stats.isDirectory()) {
          run.push(found);
          continue;
        }
        yield* this.emit(run);
        run = [];
        yield* this.enter(directory, found);
      }
      yield* this.emit(run);
    }
  }

  /** The names to look at, sorted by bytes. A directory that cannot be listed is a warning, below the roots. */
  private async names(directory: Directory): Promise<string[]> {
    const asked = [...(directory.node?.children.keys() ?? [])];
    if (!directory.scope) return asked.sort(compareNames);
    try {
      // One byte per character: half the memory of buffers, and the order of code units is the order of bytes.
      const names = await readdir(fsPath(directory.path), { encoding: 'latin1' });
      names.sort((a, b) => (a < b ? -1 : 1));
      const decoded = names.map((name) => decodeName(Buffer.from(name, 'latin1')));
      return directory.layout === '' ? withRoots(decoded, asked) : decoded;
    } catch (error) {
      if (directory.node?.root) {
        if (systemErrorCode(error) === 'ENOENT') throw missingRoot(directory.path, error);
        throw unreadable(directory.path, error);
      }
      this.failed(directory, error);
      return asked.sort(compareNames);
    }
  }

  /** Stats one name and decides whether it takes part. */
  private async look(directory: Directory, name: string): Promise<Found | undefined> {
    if (name.startsWith(STAGE_PREFIX)) return undefined;
    const layout = directory.layout === '' ? name : `${directory.layout}/${name}`;
    const node = directory.node?.children.get(name);
    const outside = layout === OUTSIDE_DIRECTORY;
    const path = outside ? '/' : directory.path === '/' ? `/${name}` : `${directory.path}/${name}`;
    if (directory.layout === '' && !node && RESERVED_TOP_NAMES.includes(name)) return undefined;
    try {
      let stats = await lstat(fsPath(path), { bigint: true });
      // The way to a root is the operator's own and may lead through links; below a root they are never followed.
      if (node && !node.root && !directory.scope && stats.isSymbolicLink())
        stats = await stat(fsPath(path), { bigint: true });
      const excluded = outside || (directory.scope?.excludes(layout, stats.isDirectory()) ?? true);
      if (excluded && !node) return undefined;
      return { path, layout, node, stats, root: node?.root === true };
    } catch (error) {
      if (node?.root || (node && !directory.scope)) throw missingRoot(path, error);
      this.failed({ path, layout }, error);
      return undefined;
    }
  }

  private async *enter(parent: Directory, found: Found): AsyncGenerator<DumpEntry, void, undefined> {
    const { path, layout, node, stats } = found;
    // `_outside` is a place in the layout, not a child of the base directory: nothing is inherited into it.
    const inside = layout !== OUTSIDE_DIRECTORY && parent.scope?.excludes(layout, true) === false;
    const inherited = inside ? parent.scope : undefined;
    const passing = !found.root && !inherited;
    // Directories above a root outside the base directory are not ours: restoring their modes would be wrong.
    if (!passing || !isAtOrBelow(layout, OUTSIDE_DIRECTORY)) {
      this.stats.directories++;
      yield { path: layout, kind: 'directory', meta: metaOf(stats, this.options.startedNs), size: 0 };
    }
    const child: Directory = { path, layout, node, scope: undefined, device: stats.dev };
    if (inherited) {
      if (this.options.oneFileSystem && stats.dev !== parent.device && !found.root) return;
      child.scope = await inherited.enter(layout, path);
    } else if (found.root) {
      child.scope = await this.rootScope(child);
    }
    yield* this.walk(child);
  }

  private rootScope(root: Directory): Promise<FilterScope> {
    const { filter } = this.options;
    if (!filter) return Promise.resolve(EVERYTHING);
    const anchor = isAtOrBelow(root.layout, OUTSIDE_DIRECTORY) ? root.layout : '';
    return filter.root(anchor, root.layout, root.path);
  }

  private async *emit(run: readonly Found[]): AsyncGenerator<DumpEntry, void, undefined> {
    const dispose = async (prepared: Prepared): Promise<void> => prepared.close?.();
    for await (const prepared of inOrder(run, READ_AHEAD, (found) => this.prepare(found), dispose)) {
      try {
        for (const warning of prepared.warnings) this.options.warn(warning);
        if (prepared.entry) yield prepared.entry;
      } finally {
        await prepared.close?.();
      }
    }
  }

  private async prepare(found: Found): Promise<Prepared> {
    const { stats, layout, path } = found;
    try {
      if (stats.isSymbolicLink()) return await this.link(found);
      if (!stats.isFile()) {
        this.stats.special++;
        const message = 'A pipe, socket or device is not part of a backup';
        return { warnings: [{ code: 'SPECIAL_FILE_SKIPPED', message, path: layout }] };
      }
      return await this.file(found);
    } catch (error) {
      return { warnings: [this.failure({ path, layout }, error)] };
    }
  }

  private async link(found: Found): Promise<Prepared> {
    const { layout, path, stats } = found;
    const linkTarget = decodeName(await readlink(fsPath(path), { encoding: 'buffer' }));
    this.stats.links++;
    const warnings: ComponentWarning[] = [];
    if (found.root) {
      this.stats.incomplete = true;
      const message =
        'The include path is a symbolic link: only the link was captured. Include the path that it points to';
      warnings.push({ code: 'INCLUDE_IS_LINK', message, path: layout });
    }
    const meta = metaOf(stats, this.options.startedNs);
    return { warnings, entry: { path: layout, kind: 'symlink', meta, size: Number(stats.size), linkTarget } };
  }

  private async file(found: Found): Promise<Prepared> {
    const { layout, path, stats } = found;
    const { previous, startedNs, signal, warn } = this.options;
    const entry: DumpEntry = { path: layout, kind: 'file', meta: metaOf(stats, startedNs), size: Number(stats.size) };
    if (this.options.content === false) {
      this.count(entry.size, stats.nlink > 1n);
      return { warnings: [], entry };
    }
    if (isUnchanged(stats, await previous?.(layout))) {
      this.count(entry.size, stats.nlink > 1n);
      this.stats.unchanged++;
      return { warnings: [], entry: { ...entry, unchanged: true } };
    }
    const changed: ComponentWarning = {
      code: 'CHANGED_WHILE_READ',
      message: 'The file was altered while it was read',
      path: layout,
    };
    const warnings: ComponentWarning[] = [];
    let late = false;
    const onChanged = (): void => {
      this.stats.changedWhileRead++;
      this.stats.incomplete = true;
      if (late) warn(changed);
      else warnings.push(changed);
    };
    const opened = await openFile(path, { signal, startedNs, onChanged });
    late = true;
    if (!opened) return { warnings: [this.failure(found, new Error('it is no longer a regular file'))] };
    this.count(opened.size, opened.hardLinked);
    return {
      warnings,
      entry: { ...entry, meta: opened.meta, size: opened.size, content: opened.content },
      close: () => opened.close(),
    };
  }

  private count(bytes: number, hardLinked: boolean): void {
    this.stats.files++;
    this.stats.bytes += bytes;
    if (hardLinked) this.stats.hardLinked++;
  }

  private failed(place: Place, error: unknown): void {
    this.options.warn(this.failure(place, error));
  }

  private failure(place: Place, error: unknown): ComponentWarning {
    throwIfCancelled(this.options.signal);
    this.stats.incomplete = true;
    const code = systemErrorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') {
      this.stats.vanished++;
      return {
        code: 'VANISHED',
        message: 'It was removed or replaced while the directory was read',
        path: place.layout,
      };
    }
    this.stats.unreadable++;
    return { code: 'UNREADABLE', message: `It cannot be read (${code ?? 'unknown reason'})`, path: place.layout };
  }
}

const EVERYTHING: FilterScope = {
  excludes: () => false,
  enter: () => Promise.resolve(EVERYTHING),
};

/** Adds include roots that the listing does not hold (`_outside` is no name on disk), in order. */
function withRoots(names: string[], asked: readonly string[]): string[] {
  const missing = asked.filter((name) => RESERVED_TOP_NAMES.includes(name) && !names.includes(name));
  return missing.length === 0 ? names : [...names, ...missing].sort(compareNames);
}

/** Equal kind, size, times and inode: and the stored entry was not racy when it was taken (then it has no change time). */
export function isUnchanged(stats: BigIntStats, previous: PreviousEntry | undefined): boolean {
  return (
    previous?.kind === 'file' &&
    previous.sha256 !== undefined &&
    previous.size === Number(stats.size) &&
    previous.meta.ctimeNs !== undefined &&
    previous.meta.ctimeNs === stats.ctimeNs &&
    previous.meta.mtimeNs === stats.mtimeNs &&
    previous.meta.inode === stats.ino
  );
}

/** Include roots without those that lie below another one; each with the directory that holds it. */
export function outermost(roots: readonly string[]): { root: string; parent: string }[] {
  const sorted = [...new Set(roots.map((root) => resolve(root)))].sort();
  const kept: string[] = [];
  for (const root of sorted)
    if (!kept.some((other) => root !== other && (other === '/' || isAtOrBelow(root, other)))) kept.push(root);
  return kept.map((root) => ({ root, parent: dirname(root) }));
}
