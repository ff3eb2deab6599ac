import { constants } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import {
  fsPath,
  livePath,
  TreeWalk,
  type ComponentWarning,
  type DumpEntry,
  type WalkOptions,
  type WalkStats,
} from '@foodsave-backup/component';
import { BackupError, printable, throwIfCancelled, type Clock } from '@foodsave-backup/kernel';
import { fileReader, type FileReader } from './reader.ts';

const ATTEMPTS = 5;
const PAUSE_MS = 200;
/** Later than any time stamp: change times are then always kept, because here they tell two looks apart. */
const NEVER_RACY = 1n << 62n;

export interface SnapshotOptions<Facts> {
  walk: Omit<WalkOptions, 'startedNs' | 'warn' | 'content' | 'attributes'>;
  clock: Clock;
  /** New directory for the copies. */
  directory: string;
  /** What is done with the copies; a SOURCE_CORRUPT from it may be a writer at work, and is tried again. */
  inspect(snapshot: Snapshot): Promise<Facts>;
}

/** A private copy of a few files that did not change from before the first to after the last one was read. */
export class Snapshot {
  readonly entries: readonly DumpEntry[];
  readonly stats: WalkStats;
  readonly warnings: readonly ComponentWarning[];
  private readonly copies: ReadonlyMap<string, string>;
  private readonly readers: FileReader[] = [];

  constructor(
    entries: readonly DumpEntry[],
    stats: WalkStats,
    warnings: readonly ComponentWarning[],
    copies: ReadonlyMap<string, string>,
  ) {
    this.entries = entries;
    this.stats = stats;
    this.warnings = warnings;
    this.copies = copies;
  }

  /** The captured bytes of a file. Undefined when there is no such file. */
  async reader(path: string): Promise<FileReader | undefined> {
    const copy = this.copies.get(path);
    if (copy === undefined) return undefined;
    const reader = await fileReader(copy);
    this.readers.push(reader);
    return reader;
  }

  async close(): Promise<void> {
    for (const reader of this.readers.splice(0)) await reader.close();
  }
}

/**
 * Copies the files and looks whether anything moved meanwhile; again after a pause when it did. SOURCE_CHANGED when a writer
 * leaves no quiet moment, or what `inspect` threw last.
 */
export async function takeSnapshot<Facts>(
  options: SnapshotOptions<Facts>,
): Promise<{ snapshot: Snapshot; facts: Facts }> {
  let failure = new BackupError('SOURCE_CHANGED', 'The vector store kept changing while it was read', {
    hint: 'Back up when nothing is written to it, or freeze the writer with a hook around the capture.',
  });
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    if (attempt > 1) await options.clock.sleep(PAUSE_MS * attempt, options.walk.signal);
    const snapshot = await copyAll(options);
    if (!snapshot) continue;
    try {
      return { snapshot, facts: await options.inspect(snapshot) };
    } catch (error) {
      await snapshot.close();
      if (!(error instanceof BackupError) || error.code !== 'SOURCE_CORRUPT') throw error;
      failure = error;
    }
  }
  throw failure;
}

/** Undefined when something changed. */
async function copyAll<Facts>(options: SnapshotOptions<Facts>): Promise<Snapshot | undefined> {
  await rm(options.directory, { recursive: true, force: true });
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const before = await look(options);
  const copies = new Map<string, string>();
  for (const [index, entry] of before.entries.entries()) {
    if (entry.kind !== 'file') continue;
    const copy = `${options.directory}/${index}`;
    if (!(await copyFile(livePath(options.walk.baseDir, entry.path), copy, options.walk.signal))) return undefined;
    copies.set(entry.path, copy);
  }
  const after = await look(options);
  if (after.key !== before.key) return undefined;
  return new Snapshot(before.entries, before.stats, before.warnings, copies);
}

interface Look {
  entries: DumpEntry[];
  stats: WalkStats;
  warnings: ComponentWarning[];
  key: string;
}

async function look<Facts>(options: SnapshotOptions<Facts>): Promise<Look> {
  const warnings: ComponentWarning[] = [];
  const walk = new TreeWalk({
    ...options.walk,
    content: false,
    attributes: true,
    startedNs: NEVER_RACY,
    warn: (warning) => warnings.push(warning),
  });
  const entries: DumpEntry[] = [];
  for await (const entry of walk.entries()) entries.push(entry);
  const keys = entries.map(({ path, kind, size, meta }) =>
    [path, kind, size, meta.mtimeNs, meta.ctimeNs, meta.inode].map(String),
  );
  return { entries, stats: walk.stats, warnings, key: JSON.stringify(keys) };
}

/** False when the file is gone or no longer a file; the next look will tell why. */
async function copyFile(from: string, to: string, signal: AbortSignal): Promise<boolean> {
  let source: FileReader;
  try {
    source = await fileReader(from);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ELOOP' || code === undefined) return false;
    throw new BackupError('SOURCE_UNREADABLE', `Cannot read "${printable(from)}" (${code})`, {
      hint: 'Check the permissions of the vector store.',
      cause: error,
    });
  }
  try {
    const target = await open(fsPath(to), constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      for (let at = 0; at < source.size; at += 1024 * 1024) {
        throwIfCancelled(signal);
        const piece = await source.read(at, Math.min(1024 * 1024, source.size - at));
        if (piece.length === 0) return false;
        await target.writeFile(piece);
      }
    } finally {
      await target.close();
    }
    return true;
  } finally {
    await source.close();
  }
}
