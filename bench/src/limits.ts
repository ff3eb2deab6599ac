import { createCipheriv, hash } from 'node:crypto';
import { closeSync, constants, fsyncSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import Database from 'better-sqlite3';
import { alignedBuffer } from '@foodsave-backup/kernel';
import { noise } from './data.ts';
import { dropCaches } from './measure.ts';

const PIECE = 4 * 1024 * 1024;
/** Of a file that is read: large enough that starting costs nothing. */
const FILE_PIECES = 64;
const PAGE = 4096;

/** Bytes a second, over at least `ms`. */
function rateOver(ms: number, bytes: number, work: () => void): number {
  const started = performance.now();
  let done = 0;
  do {
    work();
    done += bytes;
  } while (performance.now() - started < ms);
  return done / ((performance.now() - started) / 1000);
}

function writeAndSync(path: string, piece: Buffer, pieces: number, flags: number | string = 'w'): void {
  const file = openSync(path, flags);
  for (let i = 0; i < pieces; i++) writeSync(file, piece);
  fsyncSync(file);
  closeSync(file);
}

/** Bytes that a second of processor writes: through the page cache, or past it; undefined where the file system does not do that. */
function writtenBySecond(path: string, piece: Buffer, direct: boolean): number | undefined {
  const { O_WRONLY, O_CREAT, O_TRUNC } = constants;
  const { O_DIRECT } = constants as { O_DIRECT?: number };
  if (direct && O_DIRECT === undefined) return undefined;
  // Pages that a file had before are cheaper than fresh ones.
  rmSync(path, { force: true });
  const before = process.cpuUsage();
  try {
    writeAndSync(path, piece, FILE_PIECES, O_WRONLY | O_CREAT | O_TRUNC | (direct ? (O_DIRECT ?? 0) : 0));
  } catch {
    return undefined;
  }
  const { user, system } = process.cpuUsage(before);
  return (FILE_PIECES * piece.length) / ((user + system) / 1e6);
}

function readWhole(path: string, into: Buffer): void {
  const file = openSync(path, 'r');
  while (readSync(file, into) > 0);
  closeSync(file);
}

/** From the disk, once; nothing where only root may drop the caches. */
function coldReadRate(path: string): number | undefined {
  if (!dropCaches()) return undefined;
  const started = performance.now();
  readWhole(path, Buffer.alloc(PIECE));
  return (FILE_PIECES * PIECE) / ((performance.now() - started) / 1000);
}

/** What SQLite's own backup API copies in a second, from a database in the page cache to one that it does not sync. */
async function sqliteBackupRate(scratch: string): Promise<number> {
  const [from, to] = [join(scratch, 'limits.db'), join(scratch, 'limits-copy.db')];
  const db = new Database(from);
  try {
    db.pragma('synchronous = OFF');
    db.exec('CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB)');
    const insert = db.prepare('INSERT INTO rows (body) VALUES (?)');
    const plain = noise('rows', PIECE);
    for (let i = 0; i < 32; i++) {
      db.transaction(() => {
        for (let at = 0; at < PIECE; at += 1024) insert.run(plain.subarray(at, at + 1024));
      })();
    }
    const bytes = PAGE * Number(db.pragma('page_count', { simple: true }));
    const started = performance.now();
    // All pages in one step: so no writer can come between, and nothing starts again.
    await db.backup(to, { progress: () => 2 ** 31 - 1 });
    return bytes / ((performance.now() - started) / 1000);
  } finally {
    db.close();
    for (const path of [from, to]) rmSync(path, { force: true });
  }
}

/** What this machine can do at most, one core, in bytes a second, each over `ms`: the floor under every figure. */
export async function machineLimits(scratch: string, ms = 1000): Promise<Record<string, number>> {
  const rate = (bytes: number, work: () => void): number => rateOver(ms, bytes, work);
  const plain = noise('limits', PIECE);
  for (let i = 0; i < PIECE; i += 2) plain[i] = 0x20;
  const path = join(scratch, 'limits.bin');
  const key = Buffer.alloc(32, 1);
  const packed = zstdCompressSync(plain, { params: { 100: 3 } });
  const limits: Record<string, number> = {
    'SHA-256': rate(PIECE, () => hash('sha256', plain, 'buffer')),
    'AES-256-GCM': rate(PIECE, () => createCipheriv('aes-256-gcm', key, Buffer.alloc(12)).update(plain)),
    'zstd level 1': rate(PIECE, () => zstdCompressSync(plain, { params: { 100: 1 } })),
    'zstd level 3': rate(PIECE, () => zstdCompressSync(plain, { params: { 100: 3 } })),
    'zstd, unpacking': rate(PIECE, () => zstdDecompressSync(packed)),
    'disk, write and fsync': rate(16 * PIECE, () => {
      writeAndSync(path, plain, 16);
    }),
  };
  const page = alignedBuffer(PIECE);
  plain.copy(page);
  for (const [name, direct] of [
    ['writing through the page cache, processor only', false],
    ['writing past the page cache, processor only', true],
  ] as const) {
    const bytes = writtenBySecond(path, page, direct);
    if (bytes !== undefined) limits[name] = bytes;
  }
  writeAndSync(path, plain, FILE_PIECES);
  const cold = coldReadRate(path);
  if (cold !== undefined) limits['disk, read cold'] = cold;
  const into = Buffer.alloc(PIECE);
  readWhole(path, into);
  limits['page cache, read'] = rate(FILE_PIECES * PIECE, () => {
    readWhole(path, into);
  });
  rmSync(path, { force: true });
  limits['SQLite backup API'] = await sqliteBackupRate(scratch);
  return limits;
}

/** One line for each limit. */
export function limitLines(limits: Readonly<Record<string, number>>): string {
  return Object.entries(limits)
    .map(([name, rate]) => `${name}: ${(rate / 1e6).toFixed(0)} MB/s on one core\n`)
    .join('');
}
