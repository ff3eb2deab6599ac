import { constants, existsSync, lstatSync, statSync, type BigIntStats } from 'node:fs';
import { lstat, open, readdir, stat, type FileHandle } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { systemClock, systemErrorCode, throwIfCancelled } from '@foodsave-backup/kernel';
import { layoutPath, OUTSIDE_DIRECTORY } from '../layout.ts';
import { compareNames, decodeName, fsPath, isAtOrBelow } from '../names.ts';
import type { DumpEntry, PreviousEntry } from '../port.ts';
import type { FilterScope } from './patterns.ts';
import { unreadable } from './read.ts';
import { assertRoots, missingRoot, presentRoots, RESERVED_TOP_NAMES, rootTree, type RootNode } from './roots.ts';
import {
  EntryReader,
  type Found,
  type Place,
  type Prepared,
  type WalkOptions,
  type WalkStats,
} from './walk-entries.ts';

export { isUnchanged, type WalkOptions, type WalkStats } from './walk-entries.ts';

/** Directories in which a live restore stages files. They are never captured. */
export const STAGE_PREFIX = '.foodsave-backup-stage-';

const STAT_BATCH = 64;
/** Milliseconds for a batch, from which on the disk or the network is waited for, and not the processor. */
const SLOW_BATCH_MS = 8;
/** Batches that are asked for together after a slow one, before the quick way is tried again. */
const SLOW_BATCHES = 16;
/** Files that are open before their turn, and that the disk may read meanwhile. */
const READ_AHEAD = 32;
/** Small ones that are in memory together. */
const READ_TOGETHER = 8;
/** Bytes of a small one. */
const SMALL_BYTES = 128 * 1024;
/** Directories may nest this deep: the limit of the repository format, less the one for what lies in the last. */
const DEPTH_MAX = 1_023;

interface Directory extends Place {
  node: RootNode | undefined;
  /** Undefined while only passing through on the way to an include root. */
  scope: FilterScope | undefined;
  device: bigint;
  /** Why it could not be opened, hence not be listed. */
  failure?: Error;
}

interface Looked extends Found {
  node: RootNode | undefined;
}

/**
 * Walks include roots in the order of the port: parents before children, siblings by bytes. Links are never followed, and
 * FIFOs, sockets and devices never opened. Holds the names of one directory per level, never the tree. What cannot be read
 * becomes a warning (UNREADABLE, VANISHED, SPECIAL_FILE_SKIPPED, CHANGED_WHILE_READ) and `stats.incomplete`; a missing
 * include root is SOURCE_MISSING. The directories between the base directory and a root are emitted too, for their modes.
 */
export class TreeWalk {
  readonly stats: WalkStats;
  private readonly options: WalkOptions;
  private readonly reader: EntryReader;
  private readonly byDescriptor = existsSync('/proc/self/fd');
  /** Batches of names that are still looked at together: see `looks`. */
  private slowBatches = 0;

  constructor(options: WalkOptions) {
    this.options = options;
    this.reader = new EntryReader(options);
    this.stats = this.reader.stats;
  }

  async *entries(): AsyncGenerator<DumpEntry, void, undefined> {
    const { baseDir } = this.options;
    await this.reader.start();
    const roots = this.options.skipMissing === true ? await this.present() : this.options.roots;
    await assertRoots(roots);
    const node = await rootTree(baseDir, roots);
    const path = resolve(baseDir);
    const top: Directory = { path, layout: '', at: path, node, scope: undefined, device: 0n };
    if (node.root) {
      top.device = (await lstat(fsPath(path), { bigint: true })).dev;
      top.scope = await this.rootScope(top);
    }
    for await (const run of this.walk(top)) yield* run;
  }

  private present(): Promise<string[]> {
    return presentRoots(this.options.roots, (root) => {
      const path = layoutPath(this.options.baseDir, root);
      this.options.warn({ code: 'SOURCE_MISSING', message: 'It does not exist', path });
    });
  }

  /** In runs: each entry would otherwise go through as many generators as directories nest. */
  private async *walk(directory: Directory): AsyncGenerator<readonly DumpEntry[], void, undefined> {
    const names = await this.names(directory);
    const ask = (at: number): Promise<(Looked | undefined)[]> | undefined => {
      const looks = at < names.length ? this.looks(directory, names.slice(at, at + STAT_BATCH)) : undefined;
      // Heard when its turn comes.
      looks?.catch(() => undefined);
      return looks;
    };
    let next = ask(0);
    try {
      for (let at = STAT_BATCH; next !== undefined; at += STAT_BATCH) {
        throwIfCancelled(this.options.signal);
        const looks = await next;
        // Where the disk is waited for, it is at work on the next batch while this one is read.
        next = this.slowBatches > 0 ? ask(at) : undefined;
        yield* this.batch(directory, looks);
        next ??= ask(at);
      }
    } finally {
      // Whoever stops early closes the directory, through which it is looked.
      await next?.catch(() => undefined);
    }
  }

  private async *batch(
    directory: Directory,
    looks: readonly (Looked | undefined)[],
  ): AsyncGenerator<readonly DumpEntry[], void, undefined> {
    let run: Looked[] = [];
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

  /** The names to look at, sorted by bytes. A directory that cannot be listed is a warning, below the roots. */
  private async names(directory: Directory): Promise<string[]> {
    const asked = [...(directory.node?.children.keys() ?? [])];
    if (!directory.scope) return asked.sort(compareNames);
    try {
      if (directory.failure) throw directory.failure;
      // One byte per character: half the memory of buffers, and the order of code units is the order of bytes.
      const names = await readdir(fsPath(directory.at), { encoding: 'latin1' });
      names.sort((a, b) => (a < b ? -1 : 1));
      const decoded = names.map((name) => decodeName(Buffer.from(name, 'latin1')));
      return directory.layout === '' ? withRoots(decoded, asked) : decoded;
    } catch (error) {
      if (directory.node?.root) {
        if (systemErrorCode(error) === 'ENOENT') throw missingRoot(directory.path, error);
        throw unreadable(directory.path, error);
      }
      this.reader.fail(directory, error);
      return asked.sort(compareNames);
    }
  }

  /**
   * Stats names one after the other, as long as that is quick: the way to the thread pool and back takes longer than a stat
   * that the kernel can answer from memory. Where it cannot, many wait together.
   */
  private async looks(directory: Directory, names: readonly string[]): Promise<(Looked | undefined)[]> {
    if (this.slowBatches > 0) {
      this.slowBatches--;
      return Promise.all(names.map((name) => this.look(directory, name, STATS.together)));
    }
    const started = systemClock.monotonic();
    const found: (Looked | undefined)[] = [];
    for (const name of names) found.push(await this.look(directory, name, STATS.now));
    if (systemClock.monotonic() - started > SLOW_BATCH_MS) this.slowBatches = SLOW_BATCHES;
    return found;
  }

  /** Stats one name and decides whether it takes part. */
  private async look(directory: Directory, name: string, stats: StatCalls): Promise<Looked | undefined> {
    if (name.startsWith(STAGE_PREFIX)) return undefined;
    const layout = directory.layout === '' ? name : `${directory.layout}/${name}`;
    const node = directory.node?.children.get(name);
    const outside = layout === OUTSIDE_DIRECTORY;
    const path = outside ? '/' : below(directory.path, name);
    const at = outside ? '/' : below(directory.at, name);
    if (directory.layout === '' && !node && RESERVED_TOP_NAMES.includes(name)) return undefined;
    try {
      let found = await stats.lstat(fsPath(at));
      // The way to a root is the operator's own and may lead through links; below a root they are never followed.
      if (node && !node.root && !directory.scope && found.isSymbolicLink()) found = await stats.stat(fsPath(at));
      const excluded = outside || (directory.scope?.excludes(layout, found.isDirectory()) ?? true);
      if (excluded && !node) return undefined;
      return { path, layout, at, node, stats: found, root: node?.root === true };
    } catch (error) {
      if (node?.root || (node && !directory.scope)) throw missingRoot(path, error);
      this.reader.fail({ layout }, error);
      return undefined;
    }
  }

  private async *enter(parent: Directory, found: Looked): AsyncGenerator<readonly DumpEntry[], void, undefined> {
    const { path, layout, node, stats } = found;
    // `_outside` is a place in the layout, not a child of the base directory: nothing is inherited into it.
    const inside = layout !== OUTSIDE_DIRECTORY && parent.scope?.excludes(layout, true) === false;
    const inherited = inside ? parent.scope : undefined;
    const passing = !found.root && !inherited;
    // Directories above a root outside the base directory are not ours: restoring their modes would be wrong.
    if (!passing || !isAtOrBelow(layout, OUTSIDE_DIRECTORY)) {
      if (layout.split('/').length > DEPTH_MAX) {
        this.reader.fail(found, new Error('directories nest too deep'));
        return;
      }
      yield [await this.reader.directory(found)];
    }
    const child: Directory = { path, layout, at: found.at, node, scope: undefined, device: stats.dev };
    const handle = passing ? undefined : await this.open(child);
    try {
      if (inherited) {
        if (this.options.oneFileSystem && stats.dev !== parent.device && !found.root) return;
        child.scope = await inherited.enter(layout, child.at);
      } else if (found.root) {
        child.scope = await this.rootScope(child);
      }
      yield* this.walk(child);
    } finally {
      await handle?.close();
    }
  }

  /**
   * Opens a directory, from which then all that lies in it is reached: a path may be longer than the system takes, and nobody
   * can put a link in the place of a directory on the way. Where there is no /proc, paths have to do.
   */
  private async open(directory: Directory): Promise<FileHandle | undefined> {
    if (!this.byDescriptor) return undefined;
    try {
      const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
      const handle = await open(fsPath(directory.at), flags);
      directory.at = `/proc/self/fd/${handle.fd}`;
      return handle;
    } catch (error) {
      directory.failure = error instanceof Error ? error : new Error(String(error));
      return undefined;
    }
  }

  private rootScope(root: Directory): Promise<FilterScope> {
    const { filter } = this.options;
    if (!filter) return Promise.resolve(EVERYTHING);
    const anchor = isAtOrBelow(root.layout, OUTSIDE_DIRECTORY) ? root.layout : '';
    return filter.root(anchor, root.layout, root.at);
  }

  private async *emit(run: readonly Looked[]): AsyncGenerator<readonly DumpEntry[], void, undefined> {
    const asked: Asked[] = [];
    for (const found of run) {
      const before = this.reader.ask(found);
      asked.push({ found, before: before instanceof Promise ? await before : before });
    }
    const known = asked.map(({ found, before }) => this.reader.unchangedNow(found, before));
    for (let at = 0; at < run.length;) {
      const unchanged = known[at] !== undefined;
      let end = at;
      while (end < run.length && (known[end] !== undefined) === unchanged) end++;
      if (unchanged) yield known.slice(at, end).filter((entry) => entry !== undefined);
      else yield* this.prepared(asked.slice(at, end));
      at = end;
    }
  }

  /** Begins up to `READ_AHEAD` files before their turn, and hands out a few that have been read at a time. */
  private async *prepared(run: readonly Asked[]): AsyncGenerator<readonly DumpEntry[], void, undefined> {
    const begun: Promise<Prepared>[] = [];
    const read: Prepared[] = [];
    let next = 0;
    try {
      while (next < run.length || begun.length > 0) {
        for (; next < run.length && begun.length < READ_AHEAD; next++) {
          const { found, before } = run[next] as Asked;
          const prepared = this.reader.prepare(found, before);
          // Awaited below, in order; until then a failure must not count as unhandled.
          prepared.catch(() => undefined);
          begun.push(prepared);
        }
        const first = await (begun.shift() as Promise<Prepared>);
        read.push(first);
        const prepared = (await first.read?.()) ?? first;
        read[read.length - 1] = prepared;
        for (const warning of prepared.warnings) this.options.warn(warning);
        const isLast = next === run.length && begun.length === 0;
        if (!isLast && read.length < READ_TOGETHER && isSmall(prepared)) continue;
        yield read.flatMap(({ entry }) => entry ?? []);
        for (const done of read.splice(0)) await done.close?.();
      }
    } finally {
      for (const rest of await Promise.allSettled(begun)) {
        if (rest.status === 'fulfilled') read.push(rest.value);
      }
      for (const { close } of read) await close?.();
    }
  }
}

/** Whether others may be read before it is stored. */
function isSmall({ entry }: Prepared): boolean {
  return (
    entry?.content === undefined ||
    (entry.size <= SMALL_BYTES && entry.content.kind === 'stream' && entry.content.whole !== undefined)
  );
}

interface Asked {
  found: Looked;
  /** What the newest backup has of it. */
  before: PreviousEntry | undefined;
}

interface StatCalls {
  lstat(path: string | Buffer): BigIntStats | Promise<BigIntStats>;
  stat(path: string | Buffer): BigIntStats | Promise<BigIntStats>;
}

const STATS: Readonly<Record<'now' | 'together', StatCalls>> = {
  now: { lstat: (path) => lstatSync(path, { bigint: true }), stat: (path) => statSync(path, { bigint: true }) },
  together: { lstat: (path) => lstat(path, { bigint: true }), stat: (path) => stat(path, { bigint: true }) },
};

const EVERYTHING: FilterScope = {
  excludes: () => false,
  enter: () => Promise.resolve(EVERYTHING),
};

/** Adds include roots that the listing does not hold (`_outside` is no name on disk), in order. */
function withRoots(names: string[], asked: readonly string[]): string[] {
  const missing = asked.filter((name) => RESERVED_TOP_NAMES.includes(name) && !names.includes(name));
  return missing.length === 0 ? names : [...names, ...missing].sort(compareNames);
}

function below(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`;
}

/** Include roots without those that lie below another one; each with the directory that holds it. */
export function outermost(roots: readonly string[]): { root: string; parent: string }[] {
  const sorted = [...new Set(roots.map((root) => resolve(root)))].sort();
  const kept: string[] = [];
  for (const root of sorted)
    if (!kept.some((other) => root !== other && (other === '/' || isAtOrBelow(root, other)))) kept.push(root);
  return kept.map((root) => ({ root, parent: dirname(root) }));
}
