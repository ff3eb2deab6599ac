import { constants } from 'node:fs';
import { lstat, open, readFile, rm, type FileHandle } from 'node:fs/promises';
import { fsPath } from '../names.ts';
import { stepFromLine, stepToLine, type Step } from './journal.ts';
import type { MetadataPolicy } from './metadata.ts';

// The files in a stage directory, and how they come and go. Who reads them may be another process, after a crash.

/** All steps of the commit, one a line; the last line is "end". */
const JOURNAL = 'journal.jsonl';
/** The commit has succeeded and stands. */
const DONE = 'done';
/** Nobody could tell whether to finish or to undo: a person decides, and recovery leaves the stage alone. */
const KEPT = 'kept';
/** In the other stages: where the one with the journal is. */
const PRIMARY = 'primary.json';
const FLUSH_BYTES = 256 * 1024;

interface JournalHeader {
  version: 1;
  /** Absolute paths of the anchors, in the order of their numbers. Stages follow the live ones. */
  anchors: string[];
  /** Absolute paths of the stage directories; the first holds the journal. */
  stages: string[];
  policy: MetadataPolicy;
}

export interface Journal {
  header: JournalHeader;
  steps: Step[];
}

/** Durable when it resolves. */
export async function writeJournal(stage: string, { header, steps }: Journal): Promise<void> {
  await durableFile(`${stage}/${JOURNAL}`, journalLines(header, steps));
  await syncDirectory(stage);
}

/** `undefined` for one that is missing or was not written to its end: no step of it has been carried out. */
export async function readJournal(stage: string): Promise<Journal | undefined> {
  const text = await readFile(fsPath(`${stage}/${JOURNAL}`), 'utf8').catch(() => '');
  const [first, ...rest] = text.split('\n').filter((line) => line !== '');
  if (first === undefined || rest.pop() !== '"end"') return undefined;
  return { header: JSON.parse(first) as JournalHeader, steps: rest.map(stepFromLine) };
}

export async function markDone(stage: string): Promise<void> {
  await durableFile(`${stage}/${DONE}`, []);
  await syncDirectory(stage);
}

export async function markKept(stage: string): Promise<void> {
  if (await isKept(stage)) return;
  await durableFile(`${stage}/${KEPT}`, []);
  await syncDirectory(stage);
}

export function isDone(stage: string): Promise<boolean> {
  return exists(`${stage}/${DONE}`);
}

export function isKept(stage: string): Promise<boolean> {
  return exists(`${stage}/${KEPT}`);
}

export function writePrimary(stage: string, primary: string): Promise<void> {
  return durableFile(`${stage}/${PRIMARY}`, [JSON.stringify({ primary })]);
}

/** `undefined` in the stage with the journal; `''` where the file tells nothing. */
export async function readPrimary(stage: string): Promise<string | undefined> {
  const text = await readFile(fsPath(`${stage}/${PRIMARY}`), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const { primary } = JSON.parse(text) as { primary?: unknown };
    return typeof primary === 'string' ? primary : '';
  } catch {
    return '';
  }
}

/** A directory that this user, and nobody else, can have filled: the steps in it are carried out with our rights. */
export async function isOwn(path: string): Promise<boolean> {
  const stats = await lstat(fsPath(path)).catch(() => undefined);
  return stats?.isDirectory() === true && stats.uid === process.getuid?.() && (stats.mode & 0o077) === 0;
}

export async function exists(path: string): Promise<boolean> {
  return (await lstat(fsPath(path)).catch(() => undefined)) !== undefined;
}

/**
 * The first directory, which holds the journal, goes last: it says what the others are. The journal itself goes first: with it, what
 * a crash leaves of a stage that is being removed would be taken for an interrupted commit and undone from a part of its files.
 */
export async function removeStages(directories: readonly string[]): Promise<void> {
  const [primary] = directories;
  if (primary !== undefined && (await exists(`${primary}/${JOURNAL}`))) {
    await rm(fsPath(`${primary}/${JOURNAL}`), { force: true });
    await syncDirectory(primary);
  }
  for (const directory of [...directories].reverse()) await rm(fsPath(directory), { recursive: true, force: true });
}

function* journalLines(header: JournalHeader, steps: Iterable<Step>): Iterable<string> {
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

export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(fsPath(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
