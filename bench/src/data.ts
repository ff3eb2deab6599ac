import { createHash, createCipheriv } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  DIMENSION,
  databasePath,
  generateSample,
  updateRandomRows,
  type VectorSidecar,
} from '@foodsave-backup/example-foodsave/sample';
import Database from 'better-sqlite3';

/** Bytes that no compressor makes smaller, the same for the same seed. */
export function noise(seed: string, length: number): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16)).update(Buffer.alloc(length));
}

export const SAMPLE_COMPONENTS = `components:
  database: { driver: sqlite, path: ./data/foodsave.db }
  files: { include: [./data/uploads, ./data/docs] }
  config: { include: [./data/config] }
  vector_store: { driver: faiss, path: ./data/vector_store }
`;

export const FILES_COMPONENTS = `components:
  files: { include: [./data] }
`;

/**
 * The FoodSave sample at about 750 MB with `scale` 1: a database of 250 MB, thousands of documents, photographs that do not
 * compress, 180 MB of float vectors.
 */
export function makeSample(directory: string, scale: number): void {
  generateSample(directory, {
    databaseBytes: 250e6 * scale,
    documents: Math.max(12, Math.round(5000 * scale)),
    photos: Math.max(10, Math.round(7000 * scale)),
    vectors: Math.max(50, Math.round(117_000 * scale)),
  });
}

/** What a day changes: 0.5 % of the rows at random, some inserts, ten photographs, a few documents and vectors. */
export function spendDay(directory: string, day: number): void {
  updateRandomRows(databasePath(directory), 0.5, `day ${day}`);
  insertRows(databasePath(directory), day);
  const uploads = join(directory, 'data', 'uploads', `day-${day}`);
  mkdirSync(uploads, { recursive: true });
  for (let i = 0; i < 10; i++) writeFileSync(join(uploads, `${i}.jpg`), noise(`photo ${day} ${i}`, 40_000 + 700 * i));
  const docs = join(directory, 'data', 'docs');
  const names = readdirSync(docs, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(md|txt)$/.test(name));
  for (let i = 0; i < 5; i++) {
    const name = names.sort()[(day * 31 + i * 7) % names.length];
    if (name !== undefined) appendFileSync(join(docs, name), `\nAdded on day ${day}: note ${i}.\n`);
  }
  appendVectors(directory, 20, day);
}

/** Two hundred rows, and the write-ahead log folded back, as it is when the last connection of an application closes. */
function insertRows(path: string, day: number): void {
  const db = new Database(path);
  try {
    const insert = db.prepare('INSERT INTO ledger (at, kind, detail) VALUES (?, ?, ?)');
    db.transaction(() => {
      for (let i = 0; i < 200; i++) insert.run(`2026-01-01T00:00:${i % 60}Z`, 'bench', `day ${day}, entry ${i}`);
    })();
  } finally {
    db.close();
  }
}

/** FAISS flat index: the counts in its header and the floats at its end; the sidecar beside it. */
function appendVectors(directory: string, count: number, day: number): void {
  const folder = join(directory, 'data', 'vector_store');
  const file = openSync(join(folder, 'index.faiss'), 'r+');
  try {
    const header = Buffer.alloc(45);
    readSync(file, header, 0, 45, 0);
    const before = Number(header.readBigInt64LE(8));
    header.writeBigInt64LE(BigInt(before + count), 8);
    header.writeBigUInt64LE(BigInt(before + count) * BigInt(DIMENSION), 37);
    const floats = new Float32Array(count * DIMENSION).map(
      (_, i) => Math.sin(day * 1000 + i) / Math.sqrt(DIMENSION / 2),
    );
    writeSync(file, new Uint8Array(floats.buffer), 0, floats.byteLength, fstatSync(file).size);
    writeSync(file, header, 0, 45, 0);
  } finally {
    closeSync(file);
  }
  const sidecarPath = join(folder, 'index.meta.json');
  const sidecar = JSON.parse(readFileSync(sidecarPath, 'utf8')) as VectorSidecar;
  for (let i = 0; i < count; i++) {
    sidecar.ids.push(`day:${day}:${i}`);
    sidecar.texts.push(`added on day ${day}`);
  }
  sidecar.count += count;
  writeFileSync(sidecarPath, `${JSON.stringify(sidecar, null, 1)}\n`);
}

/** Many small files of 100 bytes to 4 kB of text, at most 500 in a directory. */
export function makeSmallFiles(directory: string, count: number): void {
  for (let i = 0; i < count; i++) {
    const folder = join(directory, 'data', String(Math.floor(i / 25_000)), String(Math.floor(i / 500) % 50));
    if (i % 500 === 0) mkdirSync(folder, { recursive: true });
    const words = createHash('sha256').update(`file ${i}`).digest('hex');
    writeFileSync(join(folder, `${i}.txt`), words.repeat(1 + (i % 60)).slice(0, 100 + (i % 3900)));
  }
}

/** One large file, half of it compressible. */
export function makeLargeFile(directory: string, bytes: number): void {
  mkdirSync(join(directory, 'data'), { recursive: true });
  const file = openSync(join(directory, 'data', 'large.bin'), 'w');
  const piece = 4 * 1024 * 1024;
  try {
    for (let at = 0, i = 0; at < bytes; at += piece, i++) {
      const length = Math.min(piece, bytes - at);
      const fresh = noise(`large ${i}`, length);
      if (i % 2 === 1) for (let b = 0; b < length; b += 2) fresh[b] = 0x20;
      writeSync(file, fresh);
    }
  } finally {
    closeSync(file);
  }
}

export const HALVES_COMPONENTS = `components:
  database: { driver: sqlite, path: ./data/rows.db }
  files: { include: [./data/files] }
`;

/** Half of the bytes a SQLite database, half of them files of at most 16 MB; half of each compressible. */
export function makeHalves(directory: string, bytes: number): void {
  const files = join(directory, 'data', 'files');
  mkdirSync(files, { recursive: true });
  const piece = Math.min(16e6, Math.ceil(bytes / 16));
  for (let at = 0, i = 0; at < bytes / 2; at += piece, i++) {
    const fresh = noise(`file ${i}`, Math.min(piece, Math.ceil(bytes / 2) - at));
    fresh.fill(0x20, 0, fresh.length >> 1);
    writeFileSync(join(files, `${i}.bin`), fresh);
  }
  const db = new Database(join(directory, 'data', 'rows.db'));
  try {
    db.pragma('synchronous = OFF');
    db.exec('CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB)');
    const insert = db.prepare('INSERT INTO rows (body) VALUES (?)');
    // Seven rows of 540 bytes fill a page of 4 KiB with little left over.
    const pages = Math.max(1, Math.floor(bytes / 2 / 4096));
    for (let page = 0; page < pages; page += 1000) {
      const some = Math.min(1000, pages - page);
      const fresh = noise(`rows ${page}`, some * 7 * 540);
      db.transaction(() => {
        for (let at = 0; at < fresh.length; at += 540)
          insert.run(fresh.fill(0x20, at, at + 270).subarray(at, at + 540));
      })();
    }
  } finally {
    db.close();
  }
}
