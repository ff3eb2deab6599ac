import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, readFile, realpath, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { BackupError, printable, systemErrorCode } from '@foodsave-backup/kernel';
import { decodeName, fsPath } from '../names.ts';
import { Anchor } from './anchor.ts';
import { stepFromLine, StepRunner, stepToLine, type Spot, type Step } from './journal.ts';
import { defaultPolicy, Metadata, type MetadataPolicy } from './metadata.ts';
import { Mounts } from './mounts.ts';
import { STAGE_PREFIX } from './walk.ts';

const JOURNAL = 'journal.jsonl';
const DONE = 'done';
const PRIMARY = 'primary.json';
const FLUSH_BYTES = 256 * 1024;

interface Header {
  version: 1;
  /** Absolute paths of the anchors, in the order of their numbers. Stages follow the live ones. */
  anchors: string[];
  /** Absolute paths of the stage directories; the first holds the journal. */
  stages: string[];
  policy: MetadataPolicy;
}

/**
 * The hidden directories beside (or, at a mount point, inside) the live data in which a restore collects files, one for each
 * mount, and the journal of the commit. Life of a journal: its lines are written and fsynced, last the line "end": from
 * here on a crash means undo. When all is moved and synced, the file "done" is created: from here on a crash means clean up.
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
      if (primary !== undefined && primary !== path)
        await durableFile(`${path}/${PRIMARY}`, [JSON.stringify({ primary })]);
      this.anchors.push(await Anchor.open(path));
      this.byMount.set(mount, this.anchors.length - 1);
      return this.anchors.length - 1;
    }
    throw new BackupError('RESTORE_FAILED', 'There is no place beside the live data to stage files in');
  }

  /** Makes all steps live, or none: a failure undoes what was done and is thrown again. */
  async commit(steps: () => Iterable<Step>, metadata: Metadata): Promise<{ keptDirectories: number }> {
    if (this.directories.length === 0) await this.makePrimary();
    const primary = this.directories[0] ?? '';
    const header: Header = {
      version: 1,
      anchors: this.anchors.map((anchor) => anchor.path),
      stages: this.directories,
      policy: metadata.policy,
    };
    await durableFile(`${primary}/${JOURNAL}`, journalLines(header, steps()));
    await syncDirectory(primary);
    await syncDirectory(dirname(primary));
    const runner = new StepRunner(this.anchors, metadata);
    const begun: Step[] = [];
    try {
      for (const step of steps()) {
        begun.push(step);
        await runner.do(step);
      }
      await runner.sync();
    } catch (error) {
      await undoAll(begun, runner, primary, error);
      throw error;
    }
    await durableFile(`${primary}/${DONE}`, []);
    await syncDirectory(primary);
    return { keptDirectories: runner.kept };
  }

  /** Removes the stages and what is still in them. Idempotent. */
  async close(keep: boolean): Promise<void> {
    for (const anchor of this.anchors.splice(0)) await anchor.close();
    if (!keep) await removeStages(this.directories.splice(0));
  }
}

/** Thrown by a commit whose undo failed as well: the stage must stay, because it holds what was moved aside. */
export function isHalfUndone(error: unknown): boolean {
  return error instanceof BackupError && error.details?.['stage'] !== undefined;
}

async function undoAll(steps: readonly Step[], runner: StepRunner, stage: string, cause: unknown): Promise<void> {
  try {
    for (const step of [...steps].reverse()) await runner.undo(step);
    await runner.sync();
  } catch (undoError) {
    throw new BackupError('RESTORE_FAILED', 'The restore failed and could not be undone completely', {
      hint: `Everything that was moved aside is kept in "${printable(stage)}". Remove the cause (space, permissions) and start the software again: it finishes the undo.`,
      cause: new AggregateError([cause, undoError]),
      details: { stage },
    });
  }
}

function* journalLines(header: Header, steps: Iterable<Step>): Iterable<string> {
  yield JSON.stringify(header);
  for (const step of steps) yield stepToLine(step);
  yield '"end"';
}

async function durableFile(path: string, lines: Iterable<string>): Promise<void> {
  const handle = await open(
    fsPath(path),
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o600,
  );
  try {
    let text = '';
    for (const line of lines) {
      text += `${line}\n`;
      if (text.length < FLUSH_BYTES) continue;
      await append(handle, text);
      text = '';
    }
    await append(handle, text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function append(handle: FileHandle, text: string): Promise<void> {
  if (text !== '') await handle.appendFile(text);
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(fsPath(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * The first directory, which holds the journal, goes last: it says what the others are. The journal itself goes first: with it, what
 * a crash leaves of a stage that is being removed would be taken for an interrupted commit and undone from a part of its files.
 */
async function removeStages(directories: readonly string[]): Promise<void> {
  const [primary] = directories;
  if (primary !== undefined) {
    const journal = await lstat(fsPath(`${primary}/${JOURNAL}`)).catch(() => undefined);
    if (journal !== undefined) {
      await rm(fsPath(`${primary}/${JOURNAL}`), { force: true });
      await syncDirectory(primary);
    }
  }
  for (const directory of [...directories].reverse()) await rm(fsPath(directory), { recursive: true, force: true });
}

export interface RecoveredStage {
  path: string;
  /** `undone`: an interrupted commit was rolled back. `removed`: nothing was moved yet, or everything was. */
  outcome: 'undone' | 'removed';
}

/**
 * Finishes or undoes what an interrupted live restore left in `directory` (the parents of live roots, and roots that are
 * mount points). Only for who excludes every other restore of the component. Directories that this user did not make are
 * left alone, because the steps in a journal are carried out with the rights of this process. Throws when an undo fails.
 */
export async function recoverStages(directory: string): Promise<RecoveredStage[]> {
  const names = await readdir(fsPath(directory), { encoding: 'latin1' }).catch(() => []);
  const recovered: RecoveredStage[] = [];
  for (const name of names.map((raw) => decodeName(Buffer.from(raw, 'latin1')))) {
    if (!name.startsWith(STAGE_PREFIX)) continue;
    const path = `${directory}/${name}`;
    const outcome = (await isOwn(path)) ? await recoverStage(path) : undefined;
    if (outcome) recovered.push({ path, outcome });
  }
  return recovered;
}

/**
 * `recoverStages` wherever a live restore of these live paths (`Component.livePaths()`) keeps its journal: to be called once
 * before the next restore or backup of the component, by who excludes every other restore of it.
 */
export async function recoverLiveRestores(livePaths: readonly string[]): Promise<RecoveredStage[]> {
  const directories = new Set<string>();
  for (const path of livePaths) {
    for (let at = path; ; at = dirname(at)) {
      directories.add(at);
      if (at !== path && (await isDirectory(at))) break;
      if (at === '/') break;
    }
  }
  const recovered: RecoveredStage[] = [];
  for (const directory of directories) recovered.push(...(await recoverStages(directory)));
  return recovered;
}

/** Also through links: only for the trusted way to the live data. */
async function isDirectory(path: string): Promise<boolean> {
  return (await stat(fsPath(path)).catch(() => undefined))?.isDirectory() === true;
}

async function isOwn(path: string): Promise<boolean> {
  const stats = await lstat(fsPath(path));
  return stats.isDirectory() && stats.uid === process.getuid?.() && (stats.mode & 0o077) === 0;
}

async function recoverStage(path: string): Promise<RecoveredStage['outcome'] | undefined> {
  const primary = await readJson(`${path}/${PRIMARY}`);
  if (primary) {
    const place = (primary as { primary?: unknown }).primary;
    if (typeof place === 'string' && (await lstat(fsPath(place)).catch(() => undefined))) return undefined;
    await removeStages([path]);
    return 'removed';
  }
  const lines = (await readFile(fsPath(`${path}/${JOURNAL}`), 'utf8').catch(() => ''))
    .split('\n')
    .filter((line) => line !== '');
  const done = await lstat(fsPath(`${path}/${DONE}`)).catch(() => undefined);
  const [first, ...rest] = lines;
  if (first === undefined || rest.pop() !== '"end"') {
    await removeStages([path]);
    return 'removed';
  }
  const header = JSON.parse(first) as Header;
  if (!done) await undoJournal(path, header, rest.map(stepFromLine));
  await removeStages(header.stages);
  return done ? 'removed' : 'undone';
}

async function undoJournal(path: string, header: Header, steps: readonly Step[]): Promise<void> {
  const anchors: Anchor[] = [];
  try {
    for (const anchor of header.anchors) anchors.push(await Anchor.open(anchor));
    const cause = new BackupError('INTERRUPTED', 'A live restore was interrupted');
    const metadata = await Metadata.open({ ...defaultPolicy(), ...header.policy });
    await undoAll(steps, new StepRunner(anchors, metadata), path, cause);
  } finally {
    for (const anchor of anchors) await anchor.close();
  }
}

async function readJson(path: string): Promise<unknown> {
  const text = await readFile(fsPath(path), 'utf8').catch(() => undefined);
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return {};
  }
}
