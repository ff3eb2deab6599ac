import { createHash } from 'node:crypto';
import { constants, createReadStream, type BigIntStats } from 'node:fs';
import { chmod, copyFile, open, rm, stat } from 'node:fs/promises';
import { systemErrorCode, systemClock } from '@foodsave-backup/kernel';
import { HEADER_BYTES } from '../header.ts';
import type { Prints } from './protocol.ts';

// Raw reads of a database file. Only this process does them, and only while it has no connection to the file open: closing
// any descriptor of a file drops all POSIX locks that the same process has on it.

/** What SQLite keeps beside a database. */
export const SIDECAR_SUFFIXES = ['-wal', '-shm', '-journal'] as const;

/** `undefined` when nothing is there. */
export async function statIfThere(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export async function readHeader(path: string): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Tells a file from any other and from itself after a write; a rename keeps it. */
function printOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return `${String(dev)}:${String(ino)} ${String(size)} ${String(mtimeNs)}`;
}

/** Whether two prints are of one file, whatever was written to it in between. */
export function isSameFile(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && a.split(' ')[0] === b.split(' ')[0];
}

export async function printsOf(path: string): Promise<Prints> {
  const [database, wal, journal] = await Promise.all(['', '-wal', '-journal'].map((s) => statIfThere(path + s)));
  const logs = [wal, journal].filter((stats) => stats !== undefined && stats.size > 0n);
  return {
    ...(database === undefined ? {} : { database: printOf(database) }),
    ...(logs.length === 0 ? {} : { log: logs.map((stats) => (stats === undefined ? '' : printOf(stats))).join(' ') }),
  };
}

export async function hashFile(path: string): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) {
    hash.update(piece as Buffer);
    bytes += (piece as Buffer).length;
  }
  return { sha256: hash.digest('hex'), bytes };
}

export async function removeSidecars(path: string): Promise<void> {
  for (const suffix of SIDECAR_SUFFIXES) await rm(path + suffix, { force: true });
}

const COPIED_SUFFIXES = ['', '-wal', '-journal'] as const;

/**
 * Copies a database with its log and journal, or returns false when somebody wrote while it was copied (`to` then holds
 * nothing).
 *
 * Why a raw copy is right here although one of a live database is not: every write to a file changes its mtime or ctime,
 * every transaction creates, extends or removes a log or a journal, and all of these are compared before and after. A write
 * can hide only in the clock tick of the write before it, so one tick of the file system passes between looking and copying.
 * (SQLite never writes through mmap unless compiled for it.) Whether somebody has the files open does not matter then.
 */
export async function copyQuietly(from: string, to: string): Promise<boolean> {
  const before = await fingerprint(from);
  await systemClock.sleep(isCoarse(before) ? 2_100 : 25);
  try {
    for (const suffix of COPIED_SUFFIXES) await copyPrivately(from + suffix, to + suffix);
    const after = await fingerprint(from);
    if (sameStates(before, after)) return true;
  } catch (error) {
    await removeCopy(to);
    throw error;
  }
  await removeCopy(to);
  return false;
}

async function copyPrivately(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE);
    await chmod(to, 0o600);
  } catch (error) {
    // Vanished, or never there: the comparison afterwards tells which.
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  }
}

async function removeCopy(to: string): Promise<void> {
  await rm(to, { force: true });
  await removeSidecars(to);
}

/** States of a database, its log and its journal; undefined for what is not there. */
export type Fingerprint = readonly (BigIntStats | undefined)[];

export function fingerprint(path: string): Promise<Fingerprint> {
  return Promise.all(COPIED_SUFFIXES.map((suffix) => statIfThere(path + suffix)));
}

/** Whether the file system seems to keep times in whole seconds. */
export function isCoarse(states: Fingerprint): boolean {
  return states.every((entry) => entry === undefined || entry.mtimeNs % 1_000_000_000n === 0n);
}

export function sameStates(before: Fingerprint, after: Fingerprint): boolean {
  return before.every((entry, i) => sameState(entry, after[i]));
}

function sameState(a: BigIntStats | undefined, b: BigIntStats | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.ino === b.ino && a.dev === b.dev && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}
