import { constants } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import {
  fsPath,
  livePath,
  SourceMoved,
  TreeWalk,
  type ComponentWarning,
  type DumpEntry,
  type WalkOptions,
  type WalkStats,
} from '@foodsave-backup/component';
import { BackupError, printable, systemErrorCode, throwIfCancelled, type Clock } from '@foodsave-backup/kernel';
import { fileReader, type FileReader } from './reader.ts';

const ATTEMPTS = 5;
const PAUSE_MS = 200;
const PIECE_BYTES = 1024 * 1024;
/** Later than any time stamp: change times are then always kept, because here they tell two looks apart. */
const NEVER_RACY = 1n << 62n;

export interface LookOptions {
  walk: Omit<WalkOptions, 'startedNs' | 'warn' | 'content' | 'attributes'>;
}

export interface SnapshotOptions<Facts> extends LookOptions {
  clock: Clock;
  /** New directory for the copies. */
  directory: string;
  /** What is done with the copies; a SOURCE_CORRUPT from it may be a writer at work, and is tried again. */
  inspect(store: StoreView): Promise<Facts>;
}

/** The files of a store, all of one moment. */
export interface StoreView {
  readonly entries: readonly DumpEntry[];
  readonly stats: WalkStats;
  readonly warnings: readonly ComponentWarning[];
  /** The bytes of a file. Undefined when there is no such file. */
  reader(path: string): Promise<FileReader | undefined>;
  close(): Promise<void>;
}

/** The files where they lie. Whoever reads them asks `assertStill` at the end: until then they may be of several moments. */
export class LiveStore implements StoreView {
  readonly entries: readonly DumpEntry[];
  readonly stats: WalkStats;
  readonly warnings: readonly ComponentWarning[];
  private readonly options: LookOptions;
  private readonly key: string;
  private readonly readers: FileReader[] = [];

  private constructor(options: LookOptions, { entries, stats, warnings, key }: Look) {
    this.options = options;
    this.entries = entries;
    this.stats = stats;
    this.warnings = warnings;
    this.key = key;
  }

  static async open(options: LookOptions): Promise<LiveStore> {
    return new LiveStore(options, await look(options));
  }

  async reader(path: string): Promise<FileReader | undefined> {
    if (!this.entries.some((entry) => entry.kind === 'file' && entry.path === path)) return undefined;
    const from = livePath(this.options.walk.baseDir, path);
    const reader = await fileReader(from).catch((error: unknown) => {
      throw moved(error) ?? unreadable(from, error);
    });
    this.readers.push(reader);
    return reader;
  }

  /** Throws SourceMoved when anything is not as it was when the store was opened. */
  async assertStill(): Promise<void> {
    if ((await look(this.options)).key !== this.key) throw new SourceMoved('The vector store');
  }

  async close(): Promise<void> {
    for (const reader of this.readers.splice(0)) await reader.close();
  }
}

/** A private copy of a few files that did not change from before the first to after the last one was read. */
export class Snapshot implements StoreView {
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

async function look(options: LookOptions): Promise<Look> {
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
    if (moved(error) !== undefined) return false;
    throw unreadable(from, error);
  }
  try {
    const target = await open(fsPath(to), constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      const buffer = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, source.size));
      for (let at = 0; at < source.size; at += PIECE_BYTES) {
        throwIfCancelled(signal);
        const piece = await source.read(at, Math.min(PIECE_BYTES, source.size - at), buffer);
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

/** When a file is gone or no longer a file: somebody writes. */
function moved(error: unknown): SourceMoved | undefined {
  const code = systemErrorCode(error);
  return code === 'ENOENT' || code === 'ELOOP' || code === undefined
    ? new SourceMoved('The vector store', error)
    : undefined;
}

function unreadable(from: string, error: unknown): BackupError {
  return new BackupError('SOURCE_UNREADABLE', `Cannot read "${printable(from)}" (${systemErrorCode(error)})`, {
    hint: 'Check the permissions of the vector store.',
    cause: error,
  });
}
