import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { isWhole, type BlobEntry } from '@foodsave-backup/format';
import { createLocalStorage, MemoryStorage, type StorageBackend } from '@foodsave-backup/storage';
import { withTempDir } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
import { checkRepository, prunePacks, Repository, type PruneReport } from './index.ts';
import { selectPacks, type Candidate } from './prune-select.ts';
import {
  backUp,
  differences,
  fileEntry,
  keysOf,
  makeClock,
  makeRepository,
  noise,
  SECRET,
  type Files,
} from './testing/backups.ts';

const PAGE = 512;
const RECOVER = fileURLToPath(new URL('../../../tools/recover/src/main.ts', import.meta.url));
const prune = (repository: Repository, dryRun = false, doomed: string[] = []): Promise<PruneReport> =>
  prunePacks(repository, { dryRun, doomed: new Set(doomed) });

/** A database of 400 pages, and the state of the small files beside it. */
function night(pages: Buffer, n: number): Files {
  const files: Record<string, Buffer> = {};
  for (let i = 0; i < 8; i++) files[`f/${i}`] = noise(3000, 100 + i + (i < n ? 50 : 0));
  return { ...files, db: { pageSize: PAGE, pages: Buffer.from(pages) } };
}

/** Nine nights; from the first one, each writes half of the pages that are left to it again. Only the last is kept. */
async function manyNights(storage: StorageBackend, secret?: string): Promise<{ repository: Repository; last: Files }> {
  const repository = await makeRepository({ storage, secret });
  const pages = noise(400 * PAGE, 7);
  let last = night(pages, 0);
  for (let n = 0; n < 9; n++) {
    // Every 2nd page, then every 3rd, …: what is left of the first blob lies in small pieces all over it.
    for (let page = 0; page < 400; page += n + 2) noise(PAGE, 10 + n).copy(pages, page * PAGE);
    last = night(pages, n);
    await backUp(repository, `night${n}`, last);
  }
  for (let n = 0; n < 8; n++) await repository.manifests.delete(`night${n}`);
  return { repository, last };
}

const open = (storage: StorageBackend, secret?: string): Promise<Repository> =>
  Repository.open(storage, { clock: makeClock(), secret });

async function punchedBlobs(repository: Repository): Promise<BlobEntry[]> {
  const { index } = await repository.loadIndex();
  return [...index.packs()].flatMap(({ hash }) => index.blobsOf(hash).filter(({ frames }) => !isWhole(frames)));
}

async function packBytes(storage: StorageBackend): Promise<number> {
  let bytes = 0;
  for (const folder of ['files/', 'meta/']) for await (const { size } of storage.list(folder)) bytes += size;
  return bytes;
}

describe.each([
  ['plain', undefined],
  ['encrypted', SECRET],
])('blobs of which most is dead (%s)', (_name, secret) => {
  it('are punched: they keep their ids, space is freed, and what needs them is whole', async () => {
    const storage = new MemoryStorage();
    const { repository, last } = await manyNights(storage, secret);
    const before = await packBytes(storage);
    const manifest = await storage.get('night8.json');
    const entry = await fileEntry(repository, 'night8', 'db');
    const planned = await prune(repository, true);
    const report = await prune(repository);
    expect(report).toEqual(planned);
    expect(before - (await packBytes(storage))).toBe(report.freedBytes);
    expect(report.freedBytes).toBeGreaterThan(before * 0.3);
    expect(report.rewrittenBytes).toBeGreaterThan(0);
    const again = await open(storage, secret);
    expect((await punchedBlobs(again)).length).toBeGreaterThan(0);
    expect(await differences(again, 'night8', last)).toEqual([]);
    expect(await checkRepository(again, { readData: true })).toMatchObject({ damaged: [], unreferencedPacks: 0 });
    expect(await storage.get('night8.json')).toEqual(manifest);
    expect(await fileEntry(again, 'night8', 'db')).toEqual(entry);
    // There is nothing more to gain: a second prune leaves everything as it is.
    expect(await prune(again)).toEqual({ packs: 0, freedBytes: 0, rewrittenBytes: 0 });
  });

  it('are relied on for what is left of them only', async () => {
    const storage = new MemoryStorage();
    const { repository, last } = await manyNights(storage, secret);
    await prune(repository);
    const next = await open(storage, secret);
    const same = await backUp(next, 'same', last);
    expect(same.changedPages).toBe(0);
    // The very first state: its pages are those of a blob of which half is gone, with the id that it had.
    const first = night(noise(400 * PAGE, 7), 0);
    const back = await backUp(next, 'back', first);
    expect(back.totals.storedBytes).toBeGreaterThan(50 * PAGE);
    for (const [name, files] of [
      ['night8', last],
      ['same', last],
      ['back', first],
    ] as const) {
      expect(await differences(await open(storage, secret), name, files), name).toEqual([]);
    }
    await next.manifests.delete('night8');
    await next.manifests.delete('same');
    await prune(next);
    expect(await differences(await open(storage, secret), 'back', first)).toEqual([]);
    expect(await checkRepository(await open(storage, secret), { readData: true })).toMatchObject({ damaged: [] });
  });

  it('are read by recover.mjs', async () => {
    await withTempDir(async (directory) => {
      const storage = createLocalStorage(`${directory}/repository`);
      const { repository } = await manyNights(storage, secret);
      await prune(repository);
      expect((await punchedBlobs(repository)).length).toBeGreaterThan(0);
      const env = secret === undefined ? {} : { BACKUP_ENCRYPTION_KEY: secret };
      const args = ['--no-warnings', RECOVER, 'verify', 'night8', '--repository', `${directory}/repository`];
      const { stdout } = await promisify(execFile)(process.execPath, args, { env });
      expect(stdout).toContain('OK: night8');
      await storage.close();
    });
  });

  it('whose rest is damaged are found by a check, and the files named', async () => {
    const storage = new MemoryStorage();
    const { repository } = await manyNights(storage, secret);
    await prune(repository);
    const [key = ''] = await keysOf(storage, 'files/');
    const bytes = Buffer.from(await storage.get(key));
    for (let at = 64; at < bytes.length; at += 40) bytes[at]! ^= 1;
    await storage.put(key, bytes);
    const report = await checkRepository(await open(storage, secret), { readData: true });
    expect(report.damaged.map(({ what }) => what)).toContain(key);
    expect(report.affected.backups).toEqual(['night8']);
  });
});

describe('which packs are rewritten', () => {
  const pack = (key: string, size: number, live: number): Candidate => ({ key: `files/${key}`, size, live });
  const keys = (batches: Candidate[][]): string[][] => batches.map((batch) => batch.map(({ key }) => key.slice(6)));
  const MIB = 1024 * 1024;

  it('the dead always, others only while more than a fifth is dead, the worst first', () => {
    const good = pack('good', 60 * MIB, 60 * MIB);
    expect(keys(selectPacks([pack('dead', MIB, 0), good]))).toEqual([['dead']]);
    expect(keys(selectPacks([good, pack('half', 16 * MIB, 8 * MIB)]))).toEqual([]);
    const worse = [
      pack('half', 16 * MIB, 8 * MIB),
      pack('little', 16 * MIB, 2 * MIB),
      pack('most', 16 * MIB, 12 * MIB),
    ];
    expect(keys(selectPacks([good, ...worse]))).toEqual([['little']]);
    expect(keys(selectPacks(worse))).toEqual([['half', 'little']]);
  });

  it('small ones when there are many of them in one folder', () => {
    const small = Array.from({ length: 16 }, (_, i) => pack(`s${String.fromCharCode(97 + i)}`, 1000, 1000));
    expect(keys(selectPacks(small.slice(1)))).toEqual([]);
    expect(keys(selectPacks(small))).toEqual([small.map(({ key }) => key.slice(6))]);
    const other = { ...pack('x', 1000, 1000), key: 'meta/x' };
    expect(selectPacks([...small.slice(1), other])).toEqual([]);
  });

  it('in batches of what is copied at once', () => {
    const many = Array.from({ length: 20 }, (_, i) => pack(`${10 + i}`, 60 * MIB, 30 * MIB));
    const batches = selectPacks(many);
    expect(batches.length).toBeGreaterThan(2);
    for (const batch of batches) {
      expect(batch.reduce((sum, { live }) => sum + live, 0)).toBeLessThanOrEqual(128 * MIB);
    }
  });
});
