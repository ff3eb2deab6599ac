import { readdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BackupError, printable } from '@foodsave-backup/kernel';
import { decodeName, fsPath } from '../names.ts';
import type { SwapRecovery, SwapState, SwapTicket } from '../port.ts';
import { Anchor } from './anchor.ts';
import { StepRunner } from './journal.ts';
import { defaultPolicy, Metadata } from './metadata.ts';
import { undoAll } from './stage.ts';
import {
  exists,
  isDone,
  isKept,
  isOwn,
  markKept,
  readJournal,
  readPrimary,
  removeStages,
  type Journal,
} from './stage-files.ts';
import { STAGE_PREFIX } from './walk.ts';

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

async function recoverStage(path: string): Promise<RecoveredStage['outcome'] | undefined> {
  if (await isKept(path)) return undefined;
  const primary = await readPrimary(path);
  if (primary !== undefined) {
    if (primary !== '' && (await exists(primary))) return undefined;
    await removeStages([path]);
    return 'removed';
  }
  const journal = await readJournal(path);
  if (journal === undefined) {
    await removeStages([path]);
    return 'removed';
  }
  const done = await isDone(path);
  if (!done) await undoJournal(path, journal);
  await removeStages(journal.header.stages);
  return done ? 'removed' : 'undone';
}

async function withRunner<T>({ header }: Journal, work: (runner: StepRunner) => Promise<T>): Promise<T> {
  const anchors: Anchor[] = [];
  try {
    for (const anchor of header.anchors) anchors.push(await Anchor.open(anchor));
    const metadata = await Metadata.open({ ...defaultPolicy(), ...header.policy });
    return await work(new StepRunner(anchors, metadata));
  } finally {
    for (const anchor of anchors) await anchor.close();
  }
}

function undoJournal(path: string, journal: Journal): Promise<void> {
  const cause = new BackupError('INTERRUPTED', 'A live restore was interrupted');
  return withRunner(journal, (runner) => undoAll(journal.steps, runner, path, cause));
}

/** Settles the swaps of `LiveSink`, whose ticket names the stage with the journal: for every component that is made of files. */
export const fileSwaps: SwapRecovery = {
  async look(ticket): Promise<SwapState> {
    const stage = stageOf(ticket);
    const journal = (await isOwn(stage)) ? await readJournal(stage) : undefined;
    if (journal === undefined) {
      throw new BackupError('RESTORE_FAILED', `What an interrupted restore kept in "${printable(stage)}" is gone`, {
        hint: 'Restore again, or run "undo".',
      });
    }
    return withRunner(journal, async (runner) => {
      const found = { all: 0, moves: 0, allDone: 0, movesDone: 0, finishLoses: false, undoLoses: false };
      for (const step of journal.steps) {
        const { done, altered } = await runner.look(step);
        // A directory may have been there, and a time been right, before anything was done.
        const isMove = step.step === 'put' || step.step === 'remove';
        found.all++;
        if (isMove) found.moves++;
        if (done) found.allDone++;
        if (done && isMove) found.movesDone++;
        if (altered) found[done ? 'undoLoses' : 'finishLoses'] = true;
      }
      const { finishLoses, undoLoses } = found;
      const nothing = found.moves > 0 ? found.movesDone === 0 : found.allDone === 0;
      const moved = found.allDone === found.all ? 'all' : nothing ? 'nothing' : 'some';
      return { moved, finishLoses, undoLoses };
    });
  },

  async finish(ticket): Promise<void> {
    const journal = await ownJournal(ticket);
    if (journal === undefined) return;
    await withRunner(journal, async (runner) => {
      for (const step of journal.steps) await runner.redo(step);
      await runner.sync();
    });
  },

  async undo(ticket): Promise<boolean> {
    const journal = await ownJournal(ticket);
    if (journal !== undefined) await undoJournal(stageOf(ticket), journal);
    return true;
  },

  async clean(ticket): Promise<void> {
    const stage = stageOf(ticket);
    if (!(await isOwn(stage))) return;
    await removeStages((await readJournal(stage))?.header.stages ?? [stage]);
  },

  async keep(ticket): Promise<string[]> {
    const journal = await ownJournal(ticket);
    const stages = journal?.header.stages ?? [];
    for (const stage of stages) if (await isOwn(stage)) await markKept(stage);
    return stages;
  },
};

function stageOf(ticket: SwapTicket): string {
  const stage = ticket['stage'];
  if (typeof stage === 'string' && stage.startsWith('/')) return stage;
  throw new BackupError('INTERNAL', 'The journal of a restore names no stage');
}

async function ownJournal(ticket: SwapTicket): Promise<Journal | undefined> {
  const stage = stageOf(ticket);
  return (await isOwn(stage)) ? readJournal(stage) : undefined;
}
