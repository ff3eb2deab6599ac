import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isoTime } from '@foodsave-backup/kernel';
import type { SwapTicket } from '@foodsave-backup/component';
import type { EngineDeps } from './types.ts';

/**
 * `prepared`: everything is staged and checked, and nothing was moved. `committing`: the moves are under way, and it is decided
 * that they shall be finished. `undoing`: one of them failed, and what was done is taken back. `committed`: all of it is in place
 * and stays; what was set aside goes.
 */
export type RestorePhase = 'prepared' | 'committing' | 'undoing' | 'committed';

/** One component of a restore, in the order of the commits. */
export interface RecordedSwap {
  instance: string;
  /** Absent for a component that cannot settle its own commit in another process. */
  ticket?: SwapTicket;
  /** Its commit returned; known only of those that are committed in place. */
  committed?: boolean;
  /** It was brought back from the safety backup. */
  reverted?: boolean;
}

/** A restore into the live application: the journal that makes one of its components' moves. */
export interface LiveRestoreRecord {
  phase: RestorePhase;
  /** The safety backup; absent when there was nothing to save, or no wish to. */
  safety?: string;
  restored: string;
  at: string;
  instances: string[];
  paths?: string[];
  swaps: RecordedSwap[];
}

const LAST = 'last-restore.json';
/** Exists from before the first move until all of it is settled: who finds it knows that some may be old and some new. */
const UNFINISHED = 'unfinished-restore.json';

/** Durable when it resolves: each phase before what it stands for happens. */
export function writeRecord(deps: EngineDeps, record: LiveRestoreRecord): Promise<void> {
  return write(deps, UNFINISHED, record);
}

/** `done`: `undo` goes back to before it from now on. `undone`: nothing is different, and `undo` still means the one before. */
export async function endRecord({ config }: EngineDeps, outcome: 'done' | 'undone'): Promise<void> {
  const path = join(config.stateDir, UNFINISHED);
  if (outcome === 'done') await rename(path, join(config.stateDir, LAST));
  else await rm(path, { force: true });
  await syncDirectory(config.stateDir);
}

/**
 * To be called before a safety backup is made. Where no restore is on record, `undo` takes the newest safety backup, for a state
 * directory may be lost; it must not take the one of a restore that then failed and has changed nothing.
 */
export async function ensureRecords(deps: EngineDeps): Promise<void> {
  if ((await lastRestore(deps)) !== undefined) return;
  const at = isoTime(deps.clock);
  await write(deps, LAST, { phase: 'committed', restored: '', at, instances: [], swaps: [] });
}

async function write({ config }: EngineDeps, name: string, record: LiveRestoreRecord): Promise<void> {
  await mkdir(config.stateDir, { recursive: true, mode: 0o700 });
  const path = join(config.stateDir, name);
  const file = await open(`${path}.tmp`, 'w', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(record, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.tmp`, path);
  await syncDirectory(config.stateDir);
}

export function unfinishedRestore(deps: EngineDeps): Promise<LiveRestoreRecord | undefined> {
  return read(deps, UNFINISHED);
}

/** What `undo` undoes. Only a convenience: the safety backup can always be restored by its name. */
export async function lastRestore(deps: EngineDeps): Promise<LiveRestoreRecord | undefined> {
  return read(deps, LAST);
}

async function read({ config }: EngineDeps, name: string): Promise<LiveRestoreRecord | undefined> {
  try {
    return JSON.parse(await readFile(join(config.stateDir, name), 'utf8')) as LiveRestoreRecord;
  } catch {
    return undefined;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
