import type { BigIntStats } from 'node:fs';
import { open, realpath, stat } from 'node:fs/promises';
import {
  layoutPath,
  parentEntries,
  RACY_NS,
  type ComponentFacts,
  type Dump,
  type DumpEntry,
  type DumpRun,
  type EntryMeta,
} from '@foodsave-backup/component';
import { isoTime, systemErrorCode } from '@foodsave-backup/kernel';
import { integrityLevel } from './config.ts';
import type { SqliteSource } from './sqlite-source.ts';

/** https://sqlite.org/fileformat2.html#walformat: its salts change each time that the log begins anew. */
const WAL_HEADER_BYTES = 32;

/** What of the files of a database changes with every commit. */
export interface SourceState {
  /** Inode, size, times of the database, its log and its journal, and the header of the log. */
  print: string;
  /**
   * The same without change times of log and journal. SQLite gives those two to the owner of the database when root opens them
   * (robustFchown in os_unix.c), so that a capture may move these times itself; a write moves the time of modification as well.
   */
  written: string;
  /** Nanoseconds since the epoch: the latest of the times in `written`. */
  newestNs: bigint;
}

/**
 * By stat, and by reading the head of the log: the database file itself is not opened, since closing it would drop the locks
 * of an application in this process (https://sqlite.org/howtocorrupt.html section 2.2). Change counters of the header tell
 * nothing in WAL mode: they stand still over commits. `undefined` when a file cannot be looked at.
 */
export async function stateOf(path: string): Promise<SourceState | undefined> {
  try {
    const real = await realpath(path);
    const main = await stat(real, { bigint: true });
    const wal = await statIfThere(`${real}-wal`);
    const journal = await statIfThere(`${real}-journal`);
    const header = wal === undefined ? '-' : await headOf(`${real}-wal`);
    const written = [printOf(main), main.ctimeNs, printOf(wal), printOf(journal), header].join(' ');
    const times = [main.mtimeNs, main.ctimeNs, wal?.mtimeNs ?? 0n, journal?.mtimeNs ?? 0n];
    return {
      written,
      print: [written, wal?.ctimeNs ?? '-', journal?.ctimeNs ?? '-'].join(' '),
      newestNs: times.reduce((newest, time) => (time > newest ? time : newest)),
    };
  } catch {
    return undefined;
  }
}

/**
 * The fact that lets a later capture find the database unchanged; none when a commit may have come since `before` was looked
 * at, or could come without a trace: times of files are no finer than `RACY_NS`. `startedMs`: start of the capture.
 */
export async function sourceFact(
  path: string,
  before: SourceState | undefined,
  startedMs: number,
): Promise<{ sourceState?: string }> {
  if (before === undefined || before.newestNs > BigInt(Math.trunc(startedMs)) * 1_000_000n - RACY_NS) return {};
  const after = await stateOf(path);
  return after?.written === before.written ? { sourceState: after.print } : {};
}

/**
 * A dump of what the newest backup holds already, when nothing was committed since. Nothing is opened, copied or read.
 * `undefined` when the database has to be captured.
 */
export async function openUnchangedDump(
  source: SqliteSource,
  run: DumpRun,
  state: SourceState | undefined,
  meta: EntryMeta,
): Promise<Dump | undefined> {
  const { settings, context } = source;
  const before = run.previousFacts;
  const kept = before?.['sourceState'];
  if (before === undefined || kept === undefined || kept !== state?.print) return undefined;
  // The full check says all that the quick one does.
  const level = before['integrityLevel'];
  if (level !== 'full' && level !== integrityLevel(settings, run.verify)) return undefined;
  const capturedAt = isoTime(context.clock);
  const path = layoutPath(context.baseDir, settings.path);
  const previous = await run.previous(path);
  if (previous?.kind !== 'file') return undefined;
  const facts: ComponentFacts = {
    ...before,
    unchangedSince: before['unchangedSince'] ?? before.capturedAt,
    capturedAt,
    captureMethod: 'unchanged',
    longestStallMs: 0,
    restarts: 0,
  };
  return {
    async *entries(): AsyncIterable<DumpEntry> {
      yield* await parentEntries(context.baseDir, settings.path, context.clock);
      yield { path, kind: 'file', meta, size: previous.size, unchanged: true };
    },
    facts: () => Promise.resolve(facts),
    close: () => Promise.resolve(),
  };
}

async function statIfThere(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The log is locked through its index, so that closing it drops no lock. */
async function headOf(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(WAL_HEADER_BYTES), 0, WAL_HEADER_BYTES, 0);
    return buffer.toString('hex', 0, bytesRead);
  } finally {
    await file.close();
  }
}

function printOf(stats: BigIntStats | undefined): string {
  return stats === undefined ? '-' : [stats.dev, stats.ino, stats.size, stats.mtimeNs].join(':');
}
