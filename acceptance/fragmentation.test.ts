import { execFileSync } from 'node:child_process';
import { appendFile, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Engine, type BackupPage, type CleanupResult, type CreateResult } from '@foodsave-backup/engine';
import { newId, systemClock, type Clock } from '@foodsave-backup/kernel';
import { engineDeps, Run, type ResolvedConfig } from '@foodsave-backup/runtime';
import type { StorageBackend } from '@foodsave-backup/storage';
import { compareTrees, tempDir } from '@foodsave-backup/testing';
import { databasePath, generateSample, updateRandomRows } from '@foodsave-backup/example-foodsave/sample';
import { noise } from '../bench/src/data.ts';
import { openApplication } from './harness.ts';

const DAY_MS = 86_400_000;
const NIGHTS = 100;
/** Photographs of a day are thrown away after so many days, so that files die and data does not grow without end. */
const PHOTOS_STAY_DAYS = 20;
const YAML = `application: foodsave
repository: { type: local, path: ./backups }
components:
  database: { driver: sqlite, path: ./data/foodsave.db }
  files: { include: [./data/uploads, ./data/docs] }
retention: { daily: 7, weekly: 4, monthly: 6 }
`;

/** What a day changes: 0.5 % of the rows at random, four new photographs and four old ones less, three documents. */
async function spendDay(directory: string, day: number): Promise<void> {
  updateRandomRows(databasePath(directory), 0.5, `day ${day}`);
  const uploads = join(directory, 'data/uploads');
  await mkdir(join(uploads, `day-${day}`));
  for (let i = 0; i < 4; i++) {
    await writeFile(join(uploads, `day-${day}`, `${i}.jpg`), noise(`photo ${day} ${i}`, 40_000 + 700 * i));
  }
  await rm(join(uploads, `day-${day - PHOTOS_STAY_DAYS}`), { recursive: true, force: true });
  const docs = join(directory, 'data/docs');
  const names = (await readdir(docs, { recursive: true })).filter((name) => name.endsWith('.md')).sort();
  for (let i = 0; i < 3; i++) {
    await appendFile(join(docs, names[(day * 31 + i * 7) % names.length] ?? 'new.md'), `\nAdded on day ${day}.\n`);
  }
}

/** Far enough ahead that every file is older than every backup; always the same, as retention goes by the calendar. */
const FIRST_NIGHT = Date.UTC(2101, 0, 1, 2);

/** A clock that runs as the machine's and can be put some days on. */
class NightClock implements Clock {
  days = 0;
  readonly #started = systemClock.monotonic();
  now = (): number => FIRST_NIGHT + this.days * DAY_MS + Math.round(systemClock.monotonic() - this.#started);
  monotonic = (): number => systemClock.monotonic();
  sleep = (ms: number, signal?: AbortSignal): Promise<void> => systemClock.sleep(ms, signal);
}

async function repositoryBytes(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}

interface Reads {
  /** Reads of a range or a whole object. */
  requests: number;
  bytes: number;
  /** Different packs. */
  packs: number;
}

/** What a restore of one backup reads from the storage, by an engine that has read nothing before. */
async function readsOfRestore(config: ResolvedConfig, clock: Clock, name: string, target: string): Promise<Reads> {
  const deps = engineDeps(config, { clock, env: {} });
  const reads: Reads = { requests: 0, bytes: 0, packs: 0 };
  const packs = new Set<string>();
  const { storage } = deps;
  const counted: StorageBackend = {
    capabilities: storage.capabilities,
    location: storage.location,
    put: (key, body, options) => storage.put(key, body, options),
    get: async (key, range, options) => {
      const body = await storage.get(key, range, options);
      reads.requests++;
      reads.bytes += body.length;
      if (key.endsWith('.pack')) packs.add(key);
      return body;
    },
    stat: (key) => storage.stat(key),
    list: (prefix) => storage.list(prefix),
    keys: (prefix) => storage.keys(prefix),
    delete: (key) => storage.delete(key),
    close: () => storage.close(),
  };
  const engine = new Engine({ ...deps, storage: counted });
  const run = new Run(newId(clock), { command: 'restore', name, target }, clock);
  await run.execute((context) => engine.execute(run.command, context));
  expect(await run.finished).toMatchObject({ status: 'succeeded' });
  await engine.close();
  return { ...reads, packs: packs.size };
}

const written = ({ requests, bytes, packs }: Reads): string =>
  `${requests} requests, ${(bytes / 1e6).toFixed(2)} MB, ${packs} packs`;

it(
  'after 100 nights with retention and cleanup, a repository is at most 1.5 times a fresh one with the same backups, and restoring the newest reads from at most 1.3 times as many packs',
  { timeout: 600_000 },
  async () => {
    await using temp = await tempDir();
    const clock = new NightClock();
    const place = (name: string): string => join(temp.path, name);
    for (const name of ['app', 'fresh', 'states']) await mkdir(place(name), { recursive: true });
    generateSample(place('app'), { seed: '8', databaseBytes: 10_000_000, documents: 40, photos: 30, vectors: 50 });
    for (const name of ['app', 'fresh']) await writeFile(place(`${name}/backup.yaml`), YAML);
    const app = await openApplication(place('app'), {}, clock);
    const states = new Map<string, number>();
    let deleted = 0;
    let rewritten = 0;
    for (let night = 1; night <= NIGHTS; night++) {
      clock.days++;
      await spendDay(app.directory, night);
      const { backup } = await app.must<CreateResult>({ command: 'create', trigger: 'schedule', verify: false });
      expect(backup.status).toBe('complete');
      states.set(backup.name, clock.days);
      execFileSync('cp', ['-a', place('app/data'), place(`states/${backup.name}`)]);
      const cleaned = await app.must<CleanupResult>({ command: 'cleanup' });
      for (const { name } of cleaned.deleted) await rm(place(`states/${name}`), { recursive: true });
      deleted += cleaned.deleted.length;
      rewritten += cleaned.rewrittenBytes;
    }
    const { items } = (await app.engine.list({ limit: 500 })) satisfies BackupPage;
    const names = items.map(({ name }) => name).reverse();
    const newest = names.at(-1) ?? '';
    expect(deleted + names.length).toBe(NIGHTS);
    expect(names.length).toBeGreaterThanOrEqual(7 + 4 - 1);
    expect(rewritten).toBeGreaterThan(0);

    // The same states, oldest first, into a repository that never had anything else.
    const fresh = await openApplication(place('fresh'), {}, clock);
    for (const name of names) {
      clock.days = states.get(name) ?? 0;
      await rm(place('fresh/data'), { recursive: true, force: true });
      await rename(place(`states/${name}`), place('fresh/data'));
      await fresh.must({ command: 'create', name, trigger: 'schedule', verify: false });
    }
    const [bytes, freshBytes] = [
      await repositoryBytes(app.config.repositoryPath),
      await repositoryBytes(fresh.config.repositoryPath),
    ];
    await mkdir(place('restored'));
    const reads = await readsOfRestore(app.config, clock, newest, place('restored/old'));
    const freshReads = await readsOfRestore(fresh.config, clock, newest, place('restored/fresh'));
    expect(await compareTrees(place('restored/fresh/data'), place('restored/old/data'))).toEqual([]);
    process.stdout.write(
      `${NIGHTS} nights, ${deleted} backups deleted, ${names.length} left: ${(bytes / 1e6).toFixed(1)} MB, fresh ${(freshBytes / 1e6).toFixed(1)} MB, ratio ${(bytes / freshBytes).toFixed(3)}; rewritten in all ${(rewritten / 1e6).toFixed(1)} MB\n` +
        `restore of the newest: ${written(reads)}; fresh: ${written(freshReads)}; ratio of requests ${(reads.requests / freshReads.requests).toFixed(3)}, of bytes ${(reads.bytes / freshReads.bytes).toFixed(3)}\n`,
    );
    expect(bytes).toBeLessThanOrEqual(1.5 * freshBytes);
    expect(reads.packs).toBeLessThanOrEqual(1.3 * freshReads.packs);
    // Frames are read whole: those of old packs hold, beside what is needed, what only deleted backups needed.
    expect(reads.bytes).toBeLessThanOrEqual(1.5 * freshReads.bytes);
    // What lies together in a fresh repository is read at once; here more of it lies apart.
    expect(reads.requests).toBeLessThanOrEqual(2.2 * freshReads.requests);
  },
);
