import { readdir } from 'node:fs/promises';
import { toBackupError } from '@foodsave-backup/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { expectNoScratch, expectWhole, liveFiles, restoredFiles } from './testing/oracle.ts';
import { Victim } from './testing/victim.ts';
import { noise, World } from './testing/world.ts';
import type { CheckView, Command } from './types.ts';

const KILLS = 20;

/** How many of them hit before the end depends on the machine: it goes on until a quarter did. */
const more = (done: number, killed: number): boolean => done < KILLS || (killed <= KILLS / 4 && done < 8 * KILLS);

/** Processes to kill, each started while the one before is looked at. */
class Victims {
  readonly #world: World;
  #next: Victim;

  constructor(world: World) {
    this.#world = world;
    this.#next = new Victim(world);
  }

  async kill(command: Command, after: 'begin' | 'staged', delay: number): Promise<'done' | undefined> {
    const victim = this.#next;
    this.#next = new Victim(this.#world);
    return victim.kill(command, after, delay);
  }

  end(): Promise<void> {
    return this.#next.end();
  }
}

let world: World;
let victims: Victims;
beforeEach(async () => {
  world = await World.create({ config: { retention: { daily: 1, weekly: 0, monthly: 0 } } });
  victims = new Victims(world);
});
afterEach(async () => {
  await victims.end();
  await world[Symbol.asyncDispose]();
});

/** From the first steps of a command to after its end, at random. */
const moment = (longest: number): number => Math.floor(Math.random() * longest);

/** Of all backups; none where the very first create was killed before it had made the repository. */
async function names(): Promise<string[]> {
  const page = await world
    .another()
    .list()
    .catch((error: unknown) => {
      if (toBackupError(error).code !== 'REPOSITORY_NOT_FOUND') throw error;
      return { items: [] };
    });
  return page.items.map((backup) => backup.name);
}

describe('a process that is killed with SIGKILL', () => {
  it(`in a create, ${KILLS} times: what was acknowledged is there and whole, and the next one needs no help`, async () => {
    const made = new Map<string, Record<string, string>>();
    let killed = 0;
    for (let i = 0; more(i, killed); i++) {
      await world.write('data/files/changing.bin', noise(`${i}`, 30_000));
      const name = `b${i}`;
      const end = await victims.kill({ command: 'create', name, trigger: 'manual' }, 'begin', moment(120));
      if (end === undefined) killed++;
      const present = await names();
      if (end === 'done') expect(present).toContain(name);
      for (const known of made.keys()) expect(present).toContain(known);
      if (end === 'done' || present.includes(name)) made.set(name, await liveFiles(world));
    }
    expect(killed).toBeGreaterThan(KILLS / 4);
    await world.create('last');
    made.set('last', await liveFiles(world));
    // Published, not acknowledged, and found whole by a later create: such a one counts too.
    for (const name of await names()) if (!made.has(name)) made.set(name, await restoredFiles(world, name));
    await expectWhole(world, made, world.another());
    await expectNoScratch(world);
    expect(await readdir(world.join('backups/locks'))).toEqual([]);
  }, 300_000);

  it(`in a cleanup, ${KILLS} times: what it keeps is whole, and the next one finishes`, async () => {
    let killed = 0;
    let newest = '';
    for (let i = 0; more(i, killed); i++) {
      newest = `b${i}y`;
      for (const which of ['x', 'y']) {
        await world.write('data/files/changing.bin', noise(`${i}${which}`, 20_000));
        await world.create(`b${i}${which}`);
      }
      const end = await victims.kill({ command: 'cleanup' }, 'begin', moment(50));
      if (end === undefined) killed++;
      expect(await names()).toContain(`b${i}y`);
      expect(await restoredFiles(world, `b${i}y`, world.another())).toEqual(await liveFiles(world));
      const check = await world.run({ command: 'check', readData: true }, { engine: world.another() });
      expect((check.result as CheckView).damaged.filter((d) => d.kind !== 'manifest')).toEqual([]);
    }
    expect(killed).toBeGreaterThan(KILLS / 4);
    await world.must({ command: 'cleanup' }, world.another());
    expect(await names()).toEqual([newest]);
    const check = await world.must<CheckView>({ command: 'check', readData: true }, world.another());
    expect(check).toMatchObject({ status: 'ok', backups: 1, unreferencedPacks: 0, unconfirmed: [] });
  }, 300_000);

  it(`in a delete, ${KILLS} times: the backup is gone or whole, and the others are whole`, async () => {
    await world.create('kept');
    const kept = await liveFiles(world);
    let killed = 0;
    for (let i = 0; more(i, killed); i++) {
      await world.write('data/files/only.bin', noise(`${i}`, 20_000));
      const name = `b${i}`;
      await world.create(name);
      const files = await liveFiles(world);
      await world.remove('data/files/only.bin');
      const end = await victims.kill({ command: 'delete', name }, 'begin', moment(50));
      if (end === undefined) killed++;
      const left = await names();
      if (end === 'done') expect(left).not.toContain(name);
      if (left.includes(name)) {
        expect(await restoredFiles(world, name, world.another())).toEqual(files);
        await world.must({ command: 'delete', name }, world.another());
      }
      expect(await restoredFiles(world, 'kept', world.another())).toEqual(kept);
    }
    expect(killed).toBeGreaterThan(KILLS / 4);
    await world.create('next');
    await expectWhole(
      world,
      new Map([
        ['kept', kept],
        ['next', kept],
      ]),
      world.another(),
    );
  }, 300_000);
});
