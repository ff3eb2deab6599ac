import { readdir, rm } from 'node:fs/promises';
import { expect } from 'vitest';
import type { Engine } from '../engine.ts';
import type { CheckView } from '../types.ts';
import { treeOf, type World } from './world.ts';

/** The live files, without what the files component excludes. */
export async function liveFiles(world: World): Promise<Record<string, string>> {
  const live = await treeOf(world.join('data/files'));
  return Object.fromEntries(Object.entries(live).filter(([name]) => !name.endsWith('.tmp')));
}

/** The files of a backup, restored into a directory that is gone afterwards. */
export async function restoredFiles(world: World, name: string, engine?: Engine): Promise<Record<string, string>> {
  const target = world.join(`restored-${name}`);
  await world.must({ command: 'restore', name, components: ['files'], target }, engine);
  const files = await treeOf(`${target}/data/files`);
  await rm(target, { recursive: true });
  return files;
}

/** Each of the backups restores byte for byte, and every byte of the repository is what it should be. */
export async function expectWhole(
  world: World,
  expected: ReadonlyMap<string, unknown>,
  engine?: Engine,
): Promise<void> {
  for (const [name, files] of expected) expect(await restoredFiles(world, name, engine), name).toEqual(files);
  const report = await world.run({ command: 'check', readData: true }, engine === undefined ? {} : { engine });
  expect((report.result as CheckView).damaged).toEqual([]);
}

/** No temporary copy of the application's data is left. */
export async function expectNoScratch(world: World): Promise<void> {
  const entries = await readdir(world.join('state/scratch'), { recursive: true, withFileTypes: true }).catch(() => []);
  // A directory that a process had only just made says nothing.
  expect(entries.filter((entry) => entry.isFile() && entry.name !== 'owner.json').map((entry) => entry.name)).toEqual(
    [],
  );
}
