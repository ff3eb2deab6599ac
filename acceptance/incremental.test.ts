import { copyFile, readFile } from 'node:fs/promises';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import Database from 'better-sqlite3';
import { expect, it } from 'vitest';
import type { CreateResult } from '@foodsave-backup/engine';
import { updateRandomRows } from '@foodsave-backup/example-foodsave/sample';
import { tempDir } from '@foodsave-backup/testing';
import { sampleApplication } from './harness.ts';

const PAGE = 4096;

/** Everything the repository holds, in bytes: packs, index, manifests, notes. */
function repositoryBytes(directory: string): number {
  let bytes = 0;
  for (const name of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (name.isFile()) bytes += statSync(join(name.parentPath, name.name)).size;
  }
  return bytes;
}

/** A copy of the database as its last commit left it: nobody has it open, and the log is written back first. */
async function copyOf(database: string, copy: string): Promise<void> {
  const db = new Database(database);
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
  await copyFile(database, copy);
}

/** The pages of `after` that are not the same page of `before`, one after the other. */
async function differingPages(before: string, after: string): Promise<Buffer> {
  const [a, b] = [await readFile(before), await readFile(after)];
  const pages: Buffer[] = [];
  for (let at = 0; at < b.length; at += PAGE) {
    const page = b.subarray(at, at + PAGE);
    if (at >= a.length || !page.equals(a.subarray(at, at + PAGE))) pages.push(page);
  }
  return Buffer.concat(pages);
}

it(
  '0.5 % random row updates of a 250 MB database add at most 1.1 times what zstd makes of the pages',
  { timeout: 600_000 },
  async () => {
    await using temp = await tempDir();
    const app = await sampleApplication(temp.path, { seed: '5', databaseBytes: 250_000_000 });
    const database = join(temp.path, 'data/foodsave.db');
    await app.must({ command: 'create', trigger: 'manual', verify: false });
    await copyOf(database, join(temp.path, 'before.db'));
    updateRandomRows(database, 0.5, '11');
    await copyOf(database, join(temp.path, 'after.db'));
    const pages = await differingPages(join(temp.path, 'before.db'), join(temp.path, 'after.db'));
    const ideal = zstdCompressSync(pages, { params: { [constants.ZSTD_c_compressionLevel]: 3 } }).length;
    // What frames of a size cost against one frame for all pages: why pages blobs have the frames that they have.
    const frames = [256, 512, 1024].map((kib) => {
      let bytes = 0;
      for (let at = 0; at < pages.length; at += kib * 1024) {
        const frame = pages.subarray(at, at + kib * 1024);
        bytes += zstdCompressSync(frame, { params: { [constants.ZSTD_c_compressionLevel]: 3 } }).length;
      }
      return `${kib} KiB ${(bytes / ideal).toFixed(3)}`;
    });
    process.stdout.write(`zstd in frames of their own, against one: ${frames.join(', ')}\n`);
    const size = repositoryBytes(join(temp.path, 'backups'));
    const { backup } = await app.must<CreateResult>({ command: 'create', trigger: 'manual', verify: false });
    const added = repositoryBytes(join(temp.path, 'backups')) - size;
    process.stdout.write(
      `250 MB database, 0.5 % of the rows: ${pages.length / PAGE} pages differ, zstd ${ideal} bytes, added ${added} bytes, ratio ${(added / ideal).toFixed(3)}\n`,
    );
    expect(backup.status).toBe('complete');
    expect(added).toBeLessThanOrEqual(1.1 * ideal);
    expect(added).toBeLessThanOrEqual(15_000_000);
  },
);

it('an unchanged database of 1 GB adds less than 64 KiB', { timeout: 900_000 }, async () => {
  await using temp = await tempDir();
  const app = await sampleApplication(temp.path, {
    seed: '6',
    databaseBytes: 1_000_000_000,
    documents: 100,
    photos: 50,
  });
  expect(statSync(join(temp.path, 'data/foodsave.db')).size).toBeGreaterThan(950_000_000);
  await app.must({ command: 'create', trigger: 'manual', verify: false });
  const size = repositoryBytes(join(temp.path, 'backups'));
  await app.must({ command: 'create', trigger: 'manual' });
  const added = repositoryBytes(join(temp.path, 'backups')) - size;
  process.stdout.write(`1 GB database, unchanged: added ${added} bytes\n`);
  expect(added).toBeLessThan(64 * 1024);
});
