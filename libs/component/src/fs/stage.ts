import { lstat, mkdir, realpath, stat } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { BackupError, printable, systemErrorCode } from '@foodsave-backup/kernel';
import { decodeName, fsPath } from '../names.ts';
import { Anchor } from './anchor.ts';
import { StepRunner, type Spot, type Step } from './journal.ts';
import type { Metadata } from './metadata.ts';
import { Mounts } from './mounts.ts';
import { markDone, markKept, removeStages, syncDirectory, writeJournal, writePrimary } from './stage-files.ts';
import { STAGE_PREFIX } from './walk.ts';

/**
 * The hidden directories beside (or, at a mount point, inside) the live data in which a restore collects files, one for each
 * mount, and the journal of the commit. Life of a journal: its lines are written and fsynced, last the line "end": from
 * here on whoever finds it can undo or finish the steps. The journal of the whole restore says which; where there is none,
 * they are undone unless the file "done" stands beside it.
 */
export class Stages {
  readonly anchors: Anchor[] = [];
  private readonly id: string;
  private readonly mounts: Mounts;
  private readonly byMount = new Map<string, number>();
  private readonly directories: string[] = [];
  /** Each live root, or its anchor while it does not exist. */
  private readonly roots: string[] = [];
  private counter = 0;
  private prepared: { steps: readonly Step[]; runner: StepRunner; begun: number } | undefined;

  private constructor(id: string, mounts: Mounts) {
    this.id = id;
    this.mounts = mounts;
  }

  /** The trusted directories above the live roots become the first anchors. */
  static async create(id: string, roots: readonly { path: string; anchorPath: string }[]): Promise<Stages> {
    const stages = new Stages(id, await Mounts.read());
    for (const root of roots) {
      const anchor = await Anchor.open(decodeName(await realpath(fsPath(root.anchorPath), { encoding: 'buffer' })));
      stages.anchors.push(anchor);
      const live = `${anchor.path}/${relative(root.anchorPath, root.path)}`;
      stages.roots.push((await isDirectory(live)) ? live : anchor.path);
    }
    return stages;
  }

  /** The stage with the journal lies where `recoverLiveRestores` looks for it, whatever mount the first file is on. */
  private async makePrimary(): Promise<void> {
    const base = this.anchors[0]?.path ?? '/';
    const at = await this.makeStage(await this.mounts.of(base), [base, this.roots[0] ?? base]);
    const place = this.anchors[at]?.path ?? base;
    this.byMount.set(await this.mounts.of(place), at);
  }

  /** A new spot in the stage on the mount of the nearest existing directory at or above `path` below an anchor. */
  async spot(anchor: number, path: string): Promise<Spot> {
    if (this.directories.length === 0) await this.makePrimary();
    const base = this.anchors[anchor]?.path ?? '/';
    let near = path === '' ? base : `${base}/${path}`;
    while (near !== base && !(await lstat(fsPath(near)).catch(() => undefined))?.isDirectory()) near = dirname(near);
    const mount = await this.mounts.of(near);
    const at = this.byMount.get(mount) ?? (await this.makeStage(mount, await this.mounts.way(near, base)));
    return { at, path: `f${this.counter++}` };
  }

  /** In the first of the directories, from the top down, in which this process may create one. */
  private async makeStage(mount: string, candidates: readonly string[]): Promise<number> {
    for (const [index, directory] of candidates.entries()) {
      const path = `${directory}/${STAGE_PREFIX}${this.id}`;
      try {
        await mkdir(fsPath(path), { mode: 0o700 });
      } catch (error) {
        if (index + 1 < candidates.length && ['EACCES', 'EPERM', 'EROFS'].includes(systemErrorCode(error) ?? ''))
          continue;
        throw error;
      }
      this.directories.push(path);
      const primary = this.directories[0];
      if (primary !== undefined && primary !== path) await writePrimary(path, primary);
      this.anchors.push(await Anchor.open(path));
      this.byMount.set(mount, this.anchors.length - 1);
      return this.anchors.length - 1;
    }
    throw new BackupError('RESTORE_FAILED', 'There is no place beside the live data to stage files in');
  }

  /** Writes the steps down; durable with everything that was staged. The directory of the journal. */
  async prepare(steps: readonly Step[], metadata: Metadata): Promise<string> {
    if (this.directories.length === 0) await this.makePrimary();
    const [primary = ''] = this.directories;
    const anchors = this.anchors.map((anchor) => anchor.path);
    for (const directory of this.directories) {
      await syncDirectory(directory);
      await syncDirectory(dirname(directory));
    }
    const header = { version: 1, anchors, stages: this.directories, policy: metadata.policy } as const;
    await writeJournal(primary, { header, steps: [...steps] });
    this.prepared = { steps, runner: new StepRunner(this.anchors, metadata), begun: 0 };
    return primary;
  }

  /** Carries out all prepared steps, or none: a failure undoes what was done and is thrown again. Durable only after `sync()`. */
  async commit(): Promise<void> {
    const { prepared } = this;
    if (prepared === undefined) return;
    try {
      for (const step of prepared.steps) {
        prepared.begun++;
        await prepared.runner.do(step);
      }
    } catch (error) {
      await this.undo(error);
      throw error;
    }
  }

  /** Takes the steps back. Throws, with the stage in its details, when that fails half-way. */
  async undo(cause: unknown): Promise<void> {
    const { prepared } = this;
    if (prepared === undefined) return;
    await undoAll(prepared.steps.slice(0, prepared.begun), prepared.runner, this.directories[0] ?? '', cause);
    prepared.begun = 0;
  }

  async sync(): Promise<void> {
    await this.prepared?.runner.sync();
  }

  /** From here on the commit stands, whatever becomes of this process. For a restore of one component, without other journals. */
  async done(): Promise<void> {
    const [primary] = this.directories;
    if (primary !== undefined) await markDone(primary);
  }

  /** Directories that were to go and stayed. */
  get keptDirectories(): number {
    return this.prepared?.runner.kept ?? 0;
  }

  /** Removes the stages and what is still in them, or puts them out of the way of later restores. Idempotent. */
  async close(keep: boolean): Promise<void> {
    for (const anchor of this.anchors.splice(0)) await anchor.close();
    const directories = this.directories.splice(0);
    if (keep) for (const directory of directories) await markKept(directory);
    else await removeStages(directories);
  }
}

/** Undoes steps, in reverse. Throws RESTORE_FAILED with the stage in its details when that fails half-way. */
export async function undoAll(
  steps: readonly Step[],
  runner: StepRunner,
  stage: string,
  cause: unknown,
): Promise<void> {
  try {
    for (const step of [...steps].reverse()) await runner.undo(step);
    await runner.sync();
  } catch (undoError) {
    throw new BackupError('RESTORE_FAILED', 'The restore failed and could not be undone completely', {
      hint: `Everything that was moved aside is kept in "${printable(stage)}". Remove the cause (space, permissions), then run "undo".`,
      cause: new AggregateError([cause, undoError]),
      details: { stage },
    });
  }
}

/** Also through links: only for the trusted way to the live data. */
async function isDirectory(path: string): Promise<boolean> {
  return (await stat(fsPath(path)).catch(() => undefined))?.isDirectory() === true;
}
