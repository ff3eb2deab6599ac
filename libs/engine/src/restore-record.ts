import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineDeps } from './types.ts';

/** A restore into the live application. */
export interface LiveRestoreRecord {
  /** The safety backup; absent when there was nothing to save, or no wish to. */
  safety?: string;
  restored: string;
  at: string;
  instances: string[];
  paths?: string[];
}

const LAST = 'last-restore.json';
/** Exists while components are put in place one after the other: who finds it knows that some may be old and some new. */
const UNFINISHED = 'unfinished-restore.json';

/** Durable before the first component is put in place. */
export async function beginRecord({ config }: EngineDeps, record: LiveRestoreRecord): Promise<void> {
  await mkdir(config.stateDir, { recursive: true, mode: 0o700 });
  const path = join(config.stateDir, UNFINISHED);
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

/** `done`: `undo` goes back to before it from now on. `undone`: nothing is different, and `undo` still means the one before. */
export async function endRecord({ config }: EngineDeps, outcome: 'done' | 'undone'): Promise<void> {
  const path = join(config.stateDir, UNFINISHED);
  if (outcome === 'done') await rename(path, join(config.stateDir, LAST));
  else await rm(path, { force: true });
  await syncDirectory(config.stateDir);
}

export function unfinishedRestore(deps: EngineDeps): Promise<LiveRestoreRecord | undefined> {
  return read(deps, UNFINISHED);
}

/** What `undo` undoes. Only a convenience: the safety backup can always be restored by its name. */
export async function lastRestore(deps: EngineDeps): Promise<LiveRestoreRecord | undefined> {
  return (await unfinishedRestore(deps)) ?? (await read(deps, LAST));
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
