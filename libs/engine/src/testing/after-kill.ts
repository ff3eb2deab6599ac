import type { Dirent } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { expect } from 'vitest';
import type { RestoreEntry } from '@foodsave-backup/component';
import { systemClock } from '@foodsave-backup/kernel';
import { Repository } from '@foodsave-backup/repository';
import { createLocalStorage, type StorageBackend } from '@foodsave-backup/storage';
import { tempDir } from '@foodsave-backup/testing';
import { restoreEntries } from '../restore-entries.ts';
import type { CheckView, Command } from '../types.ts';
import { changeData, SECRET, treeOf, type World } from './world.ts';

/** Path → content. */
export type Data = Record<string, string>;

/** What a kill may leave, and what comes next. */
export interface Aftermath {
  /** Counts kills, so that each kind of command comes next in turn. */
  turn: number;
  /** Backup → its data: must be there. */
  acknowledged: ReadonlyMap<string, Data>;
  /** Backup → its data: is there and whole, or is not there. */
  perhaps?: ReadonlyMap<string, Data>;
}

const NEXT: readonly ((held: string) => Command)[] = [
  () => ({ command: 'create', name: 'next', trigger: 'manual' }),
  () => ({ command: 'check', readData: false }),
  (name) => ({ command: 'verify', name, level: 'full' }),
  () => ({ command: 'cleanup' }),
  (name) => ({ command: 'restore', name, dryRun: true }),
  (name) => ({ command: 'restore', name }),
];

/** The data that a backup captures: without what is excluded and what SQLite keeps beside a database; rows instead of its bytes. */
export async function dataOf(world: World, base = world.path): Promise<Data> {
  const tree = await treeOf(`${base}/data`);
  const kept = Object.entries(tree).filter(([path]) => !path.endsWith('.tmp') && !path.startsWith('app.db'));
  const rows = world.kinds.includes('database') ? { rows: world.rows(`${base}/data/app.db`) } : {};
  return { ...Object.fromEntries(kept), ...rows };
}

/** Every file of every backup there is, read from the repository with nothing remembered. */
export async function backedUp(
  world: World,
  storage: StorageBackend = createLocalStorage(world.join('backups')),
): Promise<Map<string, Data>> {
  const repository = await Repository.open(storage, {
    clock: systemClock,
    secret: world.encrypted ? SECRET : undefined,
  });
  const source = repository.reader(await repository.loadIndex());
  const found = new Map<string, Data>();
  for (const manifest of (await repository.manifests.list()).manifests) {
    const data: Data = {};
    for (const component of Object.values(manifest.components)) {
      for await (const entry of restoreEntries(source, component, undefined)) {
        if (entry.path === 'data') continue;
        if (entry.path === 'data/app.db') data['rows'] = await rowsOf(world, entry);
        else data[entry.path.slice('data/'.length)] = await contentOf(entry);
      }
    }
    found.set(manifest.name, data);
  }
  return found;
}

async function contentOf(entry: RestoreEntry): Promise<string> {
  if (entry.kind === 'directory') return '/';
  if (entry.kind === 'symlink') return `-> ${entry.linkTarget ?? ''}`;
  const pieces: Uint8Array[] = [];
  for await (const piece of entry.content?.() ?? []) pieces.push(piece);
  return Buffer.concat(pieces).toString('latin1');
}

async function rowsOf(world: World, entry: RestoreEntry): Promise<string> {
  await using temp = await tempDir();
  await writeFile(temp.join('app.db'), await contentOf(entry), 'latin1');
  return world.rows(temp.join('app.db'));
}

export async function namesOf(world: World): Promise<string[]> {
  return (await world.another().list()).items.map((backup) => backup.name);
}

/**
 * The oracle after a kill. The first of the acknowledged backups has to be held. The next command, whatever it is, succeeds with no help; then a backup can be
 * made; every acknowledged backup is byte for byte what it was, one that was not is whole or absent; every byte of the
 * repository is good; nothing is left of the dead process. Returns which backups there are.
 */
export async function expectHealed(world: World, after: Aftermath): Promise<string[]> {
  const { acknowledged, perhaps } = after;
  const [held = ''] = acknowledged.keys();
  expect(await namesOf(world)).toEqual(expect.arrayContaining([...acknowledged.keys()]));
  const next = NEXT[after.turn % NEXT.length]?.(held);
  const overwrites = next?.command === 'restore' && next.dryRun !== true;
  if (next !== undefined) await world.must<unknown>(next, world.another());
  const now = await dataOf(world);
  if (overwrites) expect(now).toEqual(acknowledged.get(held));
  const expected = new Map(acknowledged);
  if (next?.command === 'create') expected.set('next', now);
  // Other data, so that something is written to every folder: what a torn put left in one goes with the next put there.
  await changeData(world, `after ${after.turn}`);
  await world.must({ command: 'create', name: 'last-of-all', trigger: 'manual' }, world.another());
  expected.set('last-of-all', await dataOf(world));
  await world.another().hold(held, { on: true, reason: `after kill ${after.turn}` });
  const found = await backedUp(world);
  const names = [...found.keys()].filter((name) => !name.startsWith('safety_'));
  expect(names).toEqual(expect.arrayContaining([...expected.keys()]));
  for (const name of names) {
    const data = expected.get(name) ?? perhaps?.get(name);
    expect(data, `${name} was never made`).toBeDefined();
    expect(found.get(name), name).toEqual(data);
  }
  const check = await world.must<CheckView>({ command: 'check', readData: true }, world.another());
  expect(check).toMatchObject({ status: 'ok', damaged: [], unconfirmed: [] });
  await expectNothingLeft(world);
  return names;
}

/** No lease, no private copy, no half-written object, nothing hidden beside the live data. */
export async function expectNothingLeft(world: World): Promise<void> {
  const all = await readdir(world.path, { recursive: true, withFileTypes: true });
  // A private directory that a process had only just made holds nothing yet but, perhaps, the owner's name.
  const isData = (entry: Dirent): boolean => entry.isFile() && entry.name !== 'owner.json';
  const left = all
    .filter(
      (entry) => entry.name.startsWith('.') || (/\/(locks|scratch\/[^/]+)$/.test(entry.parentPath) && isData(entry)),
    )
    .map(({ name, parentPath }) => `${parentPath.slice(world.path.length + 1)}/${name}`);
  expect(left).toEqual([]);
}
