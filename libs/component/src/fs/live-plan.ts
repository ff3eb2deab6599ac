import { layoutPath } from '../layout.ts';
import { compareLayoutPaths, isAtOrBelow } from '../names.ts';
import type { DumpEntry, EntryMeta, RestoreEntry, RestorePlan } from '../port.ts';
import { isWanted } from './target-sink.ts';
import { TreeWalk, type WalkOptions } from './walk.ts';

const LISTED = 1_000;

/** Something live that the backup does not have (or has as another kind), in the order of the walk: parents first. */
export interface Extra {
  path: string;
  kind: DumpEntry['kind'];
}

export interface LivePlan {
  plan: RestorePlan;
  extras: Extra[];
  /** Layout paths of roots that the backup knows nothing of, and that are therefore left alone. */
  unknownRoots: string[];
}

export interface LivePlanOptions {
  walk: WalkOptions;
  paths: readonly string[] | undefined;
  /** False: nothing is deleted (the backup is known to be incomplete). */
  deletes: boolean;
  /** Whether the live file at a layout path has the content of the entry. */
  sameContent(entry: Omit<RestoreEntry, 'content'>): Promise<boolean>;
}

/** Compares a backup with the live data: both come in the same order, so that neither is held in memory. */
export async function planLive(
  entries: AsyncIterable<Omit<RestoreEntry, 'content'>>,
  options: LivePlanOptions,
): Promise<LivePlan> {
  const result = new PlanBuilder(options);
  const live = new TreeWalk({ ...options.walk, content: false }).entries();
  try {
    let here = await live.next();
    for await (const entry of entries) {
      while (!here.done && compareLayoutPaths(here.value.path, entry.path) < 0) {
        result.onlyLive(here.value);
        here = await live.next();
      }
      const match = !here.done && here.value.path === entry.path ? here.value : undefined;
      if (isWanted(entry.path, options.paths) === 'yes') await result.inBackup(entry, match);
      if (match) here = await live.next();
    }
    for (; !here.done; here = await live.next()) result.onlyLive(here.value);
  } finally {
    await live.return();
  }
  return result;
}

class PlanBuilder implements LivePlan {
  readonly plan: RestorePlan = {
    added: [],
    replaced: [],
    deleted: [],
    counts: { added: 0, replaced: 0, deleted: 0, unchanged: 0 },
    bytes: 0,
  };
  readonly extras: Extra[] = [];
  readonly unknownRoots: string[] = [];
  private readonly options: LivePlanOptions;
  private readonly rootPaths: readonly string[];
  private readonly counted = new Set<string>();

  constructor(options: LivePlanOptions) {
    this.options = options;
    this.rootPaths = options.walk.roots.map((root) => layoutPath(options.walk.baseDir, root));
  }

  async inBackup(entry: Omit<RestoreEntry, 'content'>, live: DumpEntry | undefined): Promise<void> {
    const { counts } = this.plan;
    if (live?.kind === entry.kind && (entry.kind === 'directory' || (await this.same(entry, live)))) {
      counts.unchanged++;
      return;
    }
    if (live !== undefined && live.kind !== entry.kind && (live.kind === 'directory' || entry.kind === 'directory')) {
      this.extras.push({ path: live.path, kind: live.kind });
    }
    list(this.plan[live ? 'replaced' : 'added'], entry.path);
    counts[live ? 'replaced' : 'added']++;
    if (entry.kind === 'file') this.plan.bytes += this.room(entry);
  }

  /** Bytes that the file needs on the disk: none for another name of it, none for its holes. */
  private room(entry: Omit<RestoreEntry, 'content'>): number {
    const id = entry.link && Buffer.from(entry.link.id).toString('latin1');
    if (id !== undefined && this.counted.has(id)) return 0;
    if (id !== undefined) this.counted.add(id);
    return entry.size - (entry.holeBytes ?? 0);
  }

  private async same(entry: Omit<RestoreEntry, 'content'>, live: DumpEntry): Promise<boolean> {
    if (entry.kind === 'symlink') return entry.linkTarget === live.linkTarget;
    if (entry.kind === 'fifo') return true;
    if (entry.size !== live.size) return false;
    return provenSame(entry.meta, live.meta) || this.options.sameContent(entry);
  }

  onlyLive(live: DumpEntry): void {
    if (!this.options.deletes || isWanted(live.path, this.options.paths) !== 'yes') return;
    // The way to a root is not the component's to delete, and a root that the backup has never seen is not an extra file.
    if (this.rootPaths.some((root) => root !== live.path && isAtOrBelow(root, live.path))) return;
    if (this.rootPaths.includes(live.path)) {
      this.unknownRoots.push(live.path);
      return;
    }
    if (this.unknownRoots.some((root) => isAtOrBelow(live.path, root))) return;
    this.extras.push({ path: live.path, kind: live.kind });
    list(this.plan.deleted, live.path);
    this.plan.counts.deleted++;
  }
}

/**
 * The very file that was captured, untouched since. Size and time alone do not prove it (`cp -p`, `rsync -t`), and what the
 * preview calls unchanged must be what the restore leaves alone.
 */
function provenSame(stored: EntryMeta, live: EntryMeta): boolean {
  const known = stored.inode !== undefined && stored.ctimeNs !== undefined;
  return known && stored.inode === live.inode && stored.ctimeNs === live.ctimeNs && stored.mtimeNs === live.mtimeNs;
}

function list(paths: string[], path: string): void {
  if (paths.length < LISTED) paths.push(path);
}
