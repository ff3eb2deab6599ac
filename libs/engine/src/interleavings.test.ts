import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { newId } from '@foodsave-backup/kernel';
import { MemoryStorage, type StorageBackend } from '@foodsave-backup/storage';
import { SimulatedClock, tempDir, type TempDir } from '@foodsave-backup/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Engine } from './engine.ts';
import { Run } from './run.ts';
import { anyOf, freeze, Interleaver, type Choose } from './testing/interleave.ts';
import { memoryDriver, readAll, textOf, type Holding } from './testing/memory-component.ts';
import { depsOf, noise } from './testing/world.ts';
import type { CheckView, CleanupResult, Command, RunView } from './types.ts';

const PAGE = 512;
const pages = noise('pages', 40 * PAGE);
const edited = Buffer.concat([noise('page', PAGE), pages.subarray(PAGE)]);

/**
 * What the application held at different times. When "old" is deleted, its database is in no backup any more and its files
 * are in "left" only, which was never confirmed; a create that holds them again has found them in the index before.
 */
const OLD: Holding = { a: noise('a', 600), db: { pageSize: PAGE, pages }, 'd/b': noise('b', 900) };
const LEFT: Holding = { a: noise('a', 600), 'd/b': noise('b', 900), e: noise('e', 500) };
const MIDDLE: Holding = { db: { pageSize: PAGE, pages: edited }, 'm/c': noise('c', 500) };
const NEW: Holding = { x: noise('x', 700), db: { pageSize: PAGE, pages: noise('other', 10 * PAGE) } };

let temp: TempDir;
beforeAll(async () => {
  temp = await tempDir('foodsave-interleavings-');
});
afterAll(() => temp.cleanup());

interface Place {
  storage: StorageBackend;
  clock: SimulatedClock;
  /** The state directory of the machine. */
  state: string;
}

/** A run of a process of its own, on what the application holds then. */
async function run({ storage, clock, state }: Place, command: Command, holding: Holding): Promise<RunView> {
  const deps = depsOf(temp.path, [], false, { storage, clock, drivers: [memoryDriver(() => holding)] });
  const components = [{ instance: 'custom', type: 'custom', driver: 'memory', config: {} }];
  const engine = new Engine({
    ...deps,
    config: { ...deps.config, components, stateDir: state, retention: { daily: 1, weekly: 0, monthly: 0 } },
  });
  const one = new Run(newId(clock), command, clock);
  await one.execute((context) => engine.execute(command, context));
  return one.finished;
}

interface Medium {
  disk: MemoryStorage;
  clock: SimulatedClock;
  expected: Record<string, Holding>;
}

/** Three confirmed backups, of which retention keeps the last, and one that was never confirmed. */
async function makeMedium(): Promise<Medium> {
  const clock = new SimulatedClock({ autoAdvance: true });
  const disk = new MemoryStorage({ clock });
  const state = join(temp.path, 'medium');
  const expected: Record<string, Holding> = { middle: MIDDLE, old: OLD, left: LEFT, new: NEW };
  for (const [name, holding] of Object.entries(expected)) {
    const ended = await run({ storage: disk, clock, state }, { command: 'create', name, trigger: 'manual' }, holding);
    if (ended.status !== 'succeeded') throw new Error(JSON.stringify(ended.error));
    await clock.advance(60_000);
  }
  await disk.delete('manifests/left.json');
  return { disk, clock, expected };
}

type Act = [Command, Holding];
const create = (name: string, holding: Holding): Act => [{ command: 'create', name, trigger: 'manual' }, holding];
const cleanup: Act = [{ command: 'cleanup' }, {}];
const remove = (name: string): Act => [{ command: 'delete', name }, {}];

const SCENES: Readonly<Record<string, readonly Act[]>> = {
  'two creates and a cleanup': [create('one', OLD), create('two', MIDDLE), cleanup],
  'a create, a delete and a create': [create('one', OLD), remove('old'), create('two', NEW)],
  'a create, a cleanup and a delete': [create('one', MIDDLE), cleanup, remove('middle')],
};

let medium: Medium;
beforeAll(async () => {
  medium = await makeMedium();
});

/** Plays a scene with these choices; then every backup that counts restores byte for byte, and every byte is sound. */
async function play(acts: readonly Act[], choose: Choose, told: string): Promise<number[]> {
  const disk = medium.disk.clone();
  const clock = new SimulatedClock({ start: medium.clock.now(), autoAdvance: true });
  const state = await mkdtemp(join(temp.path, 'play-'));
  const works = acts.map(
    ([command, holding]) =>
      (storage: StorageBackend) =>
        run({ storage, clock, state }, command, holding),
  );
  const { results, steps } = await new Interleaver(disk, choose).run(works);
  const acknowledged = new Map(Object.entries(medium.expected).filter(([name]) => name !== 'left'));
  const gone = new Set<string>();
  for (const [i, result] of results.entries()) {
    const [command, holding] = acts[i]!;
    if (result.status === 'rejected') throw new Error(told, { cause: result.reason });
    const { status, error } = result.value;
    if (command.command === 'create') {
      expect(status, `${told}: ${JSON.stringify(error)}`).toBe('succeeded');
      acknowledged.set(command.name ?? '', holding);
    } else if (status === 'failed') {
      // Two that delete keep each other out, and the second may find that the first has done its work.
      expect(['LOCKED', 'BACKUP_NOT_FOUND'], `${told}: ${JSON.stringify(error)}`).toContain(error?.code);
    } else if (command.command === 'delete') gone.add(command.name);
    else for (const { name } of (result.value.result as CleanupResult).deleted) gone.add(name);
  }
  for (const name of gone) acknowledged.delete(name);
  const found = await readAll(disk);
  for (const [name, holding] of acknowledged) expect(found[name], `${told}: ${name}`).toEqual(textOf(holding));
  if (found['left'] !== undefined) expect(found['left'], told).toEqual(textOf(LEFT));
  for (const name of gone) expect(found, told).not.toHaveProperty(name);
  const check = await run({ storage: disk, clock, state }, { command: 'check', readData: true }, {});
  expect((check.result as CheckView).damaged, told).toEqual([]);
  await rm(state, { recursive: true });
  return steps;
}

describe('creates beside what deletes', () => {
  it('500 seeded interleavings: every acknowledged backup is whole', async () => {
    const names = Object.keys(SCENES);
    for (let seed = 1; seed <= 500; seed++) {
      const name = names[seed % names.length]!;
      await play(SCENES[name]!, anyOf(seed), `${name}, seed ${seed}`);
    }
    console.info('interleavings: 500, seeds 1 to 500');
  }, 600_000);

  it('each stopped at every one of its steps until the others have finished: the same', async () => {
    let count = 0;
    for (const [name, acts] of Object.entries(SCENES)) {
      const steps = await play(acts, anyOf(1), name);
      for (const [actor, many] of steps.entries()) {
        for (let step = 0; step < many; step++) {
          await play(acts, freeze(actor, step, anyOf(step)), `${name}, actor ${actor} stopped at ${step}`);
          count++;
        }
      }
    }
    console.info(`freezes: ${count}, seeds 0 and on`);
  }, 600_000);
});
