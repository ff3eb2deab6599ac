import type { BigIntStats } from 'node:fs';
import { link, lstat } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';
import { BackupError, newId, printable, systemErrorCode, throwIfCancelled, type Clock } from '@foodsave-backup/kernel';
import { livePath } from '../layout.ts';
import { assertLayoutPath, fsPath, isAtOrBelow } from '../names.ts';
import type {
  CommitResult,
  ComponentWarning,
  EntryMeta,
  RestoreEntry,
  RestorePlan,
  RestoreRun,
  SwapSink,
  SwapTicket,
} from '../port.ts';
import { printOf, printOfStats, type Spot, type Step } from './journal.ts';
import { planLive, type Extra } from './live-plan.ts';
import { LiveLinks } from './live-links.ts';
import { Metadata, type MetadataPolicy } from './metadata.ts';
import type { TreeFilter } from './patterns.ts';
import { Stages } from './stage.ts';
import { isWanted, splitPath } from './target-sink.ts';
import { outermost } from './walk.ts';
import { alreadyThere, makeFifoAt, restoreFailed, writeFileAt, writeLinkAt } from './write-file.ts';

export interface LiveSinkOptions {
  run: RestoreRun;
  clock: Clock;
  /** Absolute directory of the configuration file. */
  baseDir: string;
  /** Absolute include roots: what the component owns. */
  roots: readonly string[];
  /** What it excludes survives a restore. */
  filter?: TreeFilter;
  oneFileSystem?: boolean;
  policy?: MetadataPolicy;
}

interface Root {
  path: string;
  /** Nearest existing directory above the root when the restore began, as configured. */
  anchorPath: string;
  anchor: number;
}

interface Located {
  /** Absolute. */
  live: string;
  spot: Spot;
  /** A usable path of it; undefined while its directory is missing. */
  path: string | undefined;
  stats: BigIntStats | undefined;
}

/**
 * Replaces live files: `write()` stages beside them what differs, `commit()` moves it in place by rename. A failure in the commit
 * is undone from its journal, and so is a crash (see `recoverStages`) unless the journal of a whole restore knows better (see
 * `fileSwaps`). Extra files go only when `plan()` listed them: one that appeared since stays, and keeps its directory.
 */
export class LiveSink implements SwapSink {
  readonly locks = false;
  private readonly options: LiveSinkOptions;
  private readonly metadata: Metadata;
  private readonly stages: Stages;
  private readonly roots: readonly Root[];
  private readonly steps: Step[] = [];
  private readonly directoryMeta: Step[] = [];
  private readonly created = new Set<string>();
  private extras: Extra[] = [];
  private readonly notes: string[] = [];
  private files = 0;
  private bytes = 0;
  private same = 0;
  private state: 'open' | 'closed' = 'open';
  private kept = false;
  private prepared = false;
  private readonly links = new LiveLinks();

  private constructor(options: LiveSinkOptions, metadata: Metadata, stages: Stages, roots: readonly Root[]) {
    this.options = options;
    this.metadata = metadata;
    this.stages = stages;
    this.roots = roots;
  }

  static async open(options: LiveSinkOptions): Promise<LiveSink> {
    const roots: Root[] = [];
    for (const [anchor, { root }] of outermost(options.roots).entries()) {
      roots.push({ path: root, anchorPath: await nearestDirectory(root === '/' ? '/' : dirname(root)), anchor });
    }
    const stages = await Stages.create(newId(options.clock), roots);
    return new LiveSink(options, await Metadata.open(options.policy), stages, roots);
  }

  async plan(entries: AsyncIterable<Omit<RestoreEntry, 'content'>>): Promise<RestorePlan> {
    const { run, clock, baseDir, filter, oneFileSystem } = this.options;
    const present: string[] = [];
    for (const root of this.options.roots) if (await lstat(fsPath(root)).catch(() => undefined)) present.push(root);
    const deletes = run.facts.incomplete !== true;
    if (!deletes) this.notes.push('The backup is incomplete, so no extra files are deleted.');
    const walk = {
      baseDir,
      roots: present,
      signal: run.signal,
      warn: (warning: ComponentWarning) => {
        run.warn(warning);
      },
      startedNs: BigInt(Math.trunc(clock.now())) * 1_000_000n,
      oneFileSystem: oneFileSystem ?? false,
      ...(filter ? { filter } : {}),
    };
    const result = await planLive(entries, {
      walk,
      paths: run.paths,
      deletes,
      sameContent: async (entry) => {
        const found = await this.locate(entry.path);
        return found?.path !== undefined && alreadyThere(found.path, entry, run.signal);
      },
    });
    for (const root of result.unknownRoots)
      this.notes.push(`"${printable(root)}" is not in the backup and was left as it is.`);
    this.extras = result.extras;
    return result.plan;
  }

  async write(entry: RestoreEntry): Promise<void> {
    assertLayoutPath(entry.path);
    throwIfCancelled(this.options.run.signal);
    const wanted = isWanted(entry.path, this.options.run.paths);
    if (wanted === 'no' || (wanted === 'above' && entry.kind !== 'directory')) return;
    try {
      const found = await this.locate(entry.path);
      if (!found) return;
      if (entry.kind === 'directory') await this.directory(entry, found, wanted === 'yes');
      else await this.stage(entry, found);
    } catch (error) {
      throw restoreFailed(entry.path, error);
    }
  }

  /** Undefined for an existing directory above the roots: it is not this component's. */
  private async locate(path: string): Promise<Located | undefined> {
    const live = livePath(this.options.baseDir, path);
    const root = this.roots.find((candidate) => candidate.path === '/' || isAtOrBelow(live, candidate.path));
    const above = root ?? this.roots.find((candidate) => isAtOrBelow(candidate.path, live));
    if (!above) {
      throw new BackupError('RESTORE_FAILED', `"${printable(path)}" does not belong to this component`, {
        hint: 'The configuration has changed since the backup, or the backup was tampered with. Restore to a target directory instead.',
      });
    }
    if (!root && isAtOrBelow(above.anchorPath, live)) return undefined;
    const spot = { at: above.anchor, path: relative(above.anchorPath, live) };
    if (spot.path === '') return undefined;
    const { parent, name } = splitPath(spot.path);
    const directory = await this.stages.anchors[spot.at]?.directory(parent);
    const at = directory === undefined ? undefined : `${directory}/${name}`;
    const stats = at === undefined ? undefined : await lstat(fsPath(at), { bigint: true }).catch(() => undefined);
    return { live, spot, path: at, stats };
  }

  private async directory(entry: RestoreEntry, found: Located, applyMeta: boolean): Promise<void> {
    if (!found.stats?.isDirectory()) {
      await this.makeDirectories(found, entry.meta);
    } else if (applyMeta) {
      const from = this.metadata.metaOf(found.path ?? found.live, found.stats);
      this.directoryMeta.push({ step: 'meta', live: found.spot, kind: 'directory', from, to: entry.meta });
    }
  }

  /** mkdir steps for a missing directory and, where the backup did not have them, the ones above it. */
  private async makeDirectories(found: Located, meta: EntryMeta): Promise<void> {
    const names = found.spot.path.split('/');
    const anchorPath = found.live.slice(0, found.live.length - found.spot.path.length - 1);
    for (let depth = 1; depth <= names.length; depth++) {
      const path = names.slice(0, depth).join('/');
      const live = `${anchorPath}/${path}`;
      if (this.created.has(live)) continue;
      const last = depth === names.length;
      const spot = { at: found.spot.at, path };
      if (!last && (await this.isDirectory(spot))) continue;
      this.created.add(live);
      const to = last ? meta : { ...meta, mode: 0o755 };
      this.steps.push({ step: 'mkdir', live: spot });
      this.directoryMeta.push({ step: 'meta', live: spot, kind: 'directory', from: to, to });
    }
  }

  private async isDirectory(spot: Spot): Promise<boolean> {
    return (await this.stages.anchors[spot.at]?.directory(spot.path)) !== undefined;
  }

  /** Leaves a file that is as in the backup where it is; false when it must be replaced. */
  private async stays(entry: RestoreEntry, found: Located): Promise<boolean> {
    const { path, stats, spot } = found;
    if (path === undefined || !stats || !(await alreadyThere(path, entry, this.options.run.signal))) return false;
    const from = this.metadata.metaOf(path, stats);
    const differs = this.metadata.differs(entry.kind, entry.meta, from);
    // Names that are linked to it, or that it is to be parted from, are told apart by its time: it must not change then.
    if (entry.kind === 'file' && ((entry.link && differs) || !this.links.mayStay(entry, stats))) return false;
    if (differs) this.steps.push({ step: 'meta', live: spot, kind: entry.kind, from, to: entry.meta });
    this.links.stays(entry, spot, stats);
    this.same++;
    return true;
  }

  private async stage(entry: RestoreEntry, found: Located): Promise<void> {
    if (await this.stays(entry, found)) return;
    const { parent } = splitPath(found.spot.path);
    if (parent !== '' && found.path === undefined) {
      await this.makeDirectories(
        { ...found, live: dirname(found.live), spot: { at: found.spot.at, path: parent } },
        entry.meta,
      );
    }
    const staged = await this.stages.spot(found.spot.at, parent);
    const place = `${(await this.stages.anchors[staged.at]?.directory('')) ?? ''}/${staged.path}`;
    if (!(await this.stageAt(place, entry, staged))) return;
    const is = await printOf(place);
    const aside = { at: staged.at, path: `${staged.path}.old` };
    this.steps.push({ step: 'put', live: found.spot, staged, aside, ...(is === undefined ? {} : { is }) });
  }

  /** False when it cannot be made here. */
  private async stageAt(place: string, entry: RestoreEntry, staged: Spot): Promise<boolean> {
    const { signal } = this.options.run;
    if (entry.kind === 'fifo') return makeFifoAt(place, entry, this.metadata);
    if (entry.kind === 'symlink') {
      await writeLinkAt(place, entry, this.metadata);
      return true;
    }
    this.files++;
    if (await this.linked(place, entry)) return true;
    this.bytes += await writeFileAt(place, entry, { signal, metadata: this.metadata, durable: true });
    this.metadata.sawMode(entry.meta.mode);
    this.links.staged(entry, staged);
    return true;
  }

  /** Stages another name of a file that was staged, or that stays; false when that cannot be. */
  private async linked(place: string, entry: RestoreEntry): Promise<boolean> {
    const target = this.links.find(entry);
    if (!target) return false;
    const { parent, name } = splitPath(target.path);
    const directory = await this.stages.anchors[target.at]?.directory(parent);
    try {
      if (directory === undefined) return false;
      await link(fsPath(`${directory}/${name}`), fsPath(place));
      return true;
    } catch (error) {
      const code = systemErrorCode(error) ?? '';
      if (!['EPERM', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV', 'ENOENT'].includes(code)) throw error;
      this.metadata.copied();
      return false;
    }
  }

  async prepare(): Promise<SwapTicket | undefined> {
    this.prepared = true;
    await this.printPuts();
    const all = [...(await this.removals()), ...this.steps, ...this.directoryMeta.reverse()];
    if (all.length === 0 || this.options.run.dryRun) return undefined;
    return { stage: await this.stages.prepare(all, this.metadata) };
  }

  async commit(): Promise<CommitResult> {
    const alone = !this.prepared;
    if (alone) await this.prepare();
    try {
      await this.stages.commit();
      if (alone) {
        await this.stages.sync();
        await this.stages.done();
      }
    } catch (error) {
      throw this.failed(error);
    }
    return { files: this.files, bytes: this.bytes, notes: this.finalNotes() };
  }

  async check(): Promise<string[]> {
    await this.stages.sync();
    return [];
  }

  async revert(): Promise<boolean> {
    try {
      await this.stages.undo(undefined);
      return true;
    } catch (error) {
      throw this.failed(error);
    }
  }

  keep(): void {
    this.kept = true;
  }

  private failed(error: unknown): BackupError {
    const known = commitFailed(error);
    // Its undo failed as well: the stage must stay, because it holds what was moved aside.
    if (known.details?.['stage'] !== undefined) this.kept = true;
    return known;
  }

  private finalNotes(): string[] {
    const notes = [...this.notes];
    const { keptDirectories } = this.stages;
    if (keptDirectories > 0) {
      const what = keptDirectories === 1 ? '1 extra directory was' : `${keptDirectories} extra directories were`;
      notes.push(`${what} kept: excluded files, files that are newer than the preview, or a mount lie in it.`);
    }
    if (this.same > 0)
      notes.push(
        this.same === 1 ? '1 file already was as in the backup.' : `${this.same} files already were as in the backup.`,
      );
    return [...notes, ...this.metadata.notes()];
  }

  /** What stands now where something will be put: staging may have taken long, and the application went on. */
  private async printPuts(): Promise<void> {
    for (const step of this.steps) {
      if (step.step !== 'put') continue;
      const { parent, name } = splitPath(step.live.path);
      const directory = await this.stages.anchors[step.live.at]?.directory(parent);
      const was = directory === undefined ? undefined : await printOf(`${directory}/${name}`);
      if (was !== undefined) step.was = was;
    }
  }

  /** Children before their directories. */
  private async removals(): Promise<Step[]> {
    const steps: Step[] = [];
    for (const { path, kind } of [...this.extras].reverse()) {
      const found = await this.locate(path);
      if (!found?.stats) continue;
      if (kind === 'directory') {
        const meta = this.metadata.metaOf(found.path ?? found.live, found.stats);
        steps.push({ step: 'rmdir', live: found.spot, meta });
      } else {
        const aside = await this.stages.spot(found.spot.at, splitPath(found.spot.path).parent);
        steps.push({ step: 'remove', live: found.spot, aside, was: printOfStats(found.stats) });
      }
    }
    return steps;
  }

  async close(): Promise<void> {
    if (this.state === 'closed') return;
    this.state = 'closed';
    await this.stages.close(this.kept);
  }
}

async function nearestDirectory(path: string): Promise<string> {
  let near = resolve(path);
  for (;;) {
    const stats = await lstat(fsPath(near)).catch(() => undefined);
    if (stats?.isDirectory() || stats?.isSymbolicLink() || near === '/') return near;
    near = dirname(near);
  }
}

function commitFailed(error: unknown): BackupError {
  if (error instanceof BackupError) return error;
  const why = error instanceof Error ? error.message : String(error);
  // What a rename over a mount point gives, and a hard link to one.
  const mounted = ['EBUSY', 'EXDEV'].includes(systemErrorCode(error) ?? '');
  const isProtected = systemErrorCode(error) === 'EPERM' && process.getuid?.() === 0;
  const immutable = isProtected
    ? ' What even root may not change is immutable or append-only: see lsattr and chattr.'
    : '';
  return new BackupError('RESTORE_FAILED', `The restored files could not be put in place (${printable(why)})`, {
    hint: mounted
      ? 'Everything was put back as it was. A single file is mounted there, as containers do: restore to a directory with --target and copy it by hand.'
      : `Everything was put back as it was. Stop the application or correct the permissions, then restore again.${immutable}`,
    cause: error,
  });
}
