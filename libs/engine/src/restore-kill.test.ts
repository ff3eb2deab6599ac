import { readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { expectNoScratch, restoredFiles } from './testing/oracle.ts';
import { Victim } from './testing/victim.ts';
import { noise, treeOf, World, type Kind } from './testing/world.ts';
import type { CheckView } from './types.ts';

const FILES = 80;

/** The state `old`: other files and other contents in every component than the backup "new" has. */
async function make(kinds: readonly Kind[], version: 'old' | 'new', world: World): Promise<void> {
  await world.remove('data/files');
  for (let i = version === 'old' ? 0 : 30; i < (version === 'old' ? FILES : FILES + 30); i++) {
    await world.write(`data/files/${i % 7}/${i}`, `${version} ${i}`);
  }
  await world.write('data/files/big.bin', noise(version, 40_000));
  if (kinds.includes('config')) await world.write('data/config/app.json', JSON.stringify({ version }));
  if (kinds.includes('database')) world.sql(`DELETE FROM items; INSERT INTO items (name) VALUES ('${version}')`);
}

async function stateOf(world: World): Promise<string> {
  const tree = Object.entries(await treeOf(world.join('data'))).filter(([path]) => !path.startsWith('app.db'));
  const names = world.kinds.includes('database') ? world.rows().replaceAll(/\d+/g, 'n') : '';
  return `${names} ${JSON.stringify(tree)}`;
}

/** What a listing of the live directories shows beside the data: nothing hidden may be left. */
async function leftovers(world: World): Promise<string[]> {
  const names = [...(await readdir(world.path)), ...(await readdir(world.join('data')))];
  return names.filter((name) => name.startsWith('.'));
}

/** How many of the kills hit before the end depends on the machine: it goes on until `hits` did. */
async function killMany(kinds: readonly Kind[], kills: number, hits: number): Promise<Record<string, number>> {
  await using world = await World.create({ kinds });
  await make(kinds, 'new', world);
  await world.create('new');
  const wanted = await stateOf(world);
  await make(kinds, 'old', world);
  await world.create('old');
  const before = await stateOf(world);
  const outcomes: Record<string, number> = { killed: 0, old: 0, new: 0 };
  const command = { command: 'restore', name: 'new' } as const;
  let next = new Victim(world);
  try {
    // How long it takes from the first staged file to the end, roughly, so that the moments spread over all of it.
    let span = 150;
    for (let i = 0; i < kills || ((outcomes['killed'] ?? 0) < hits && i < 8 * kills); i++) {
      const victim = next;
      next = new Victim(world);
      const delay = i === 0 ? 60_000 : Math.floor(Math.random() * span);
      const started = performance.now();
      const end = await victim.kill(command, 'staged', delay);
      if (i === 0) span = Math.min(1500, performance.now() - started);
      if (end === undefined) outcomes['killed'] = (outcomes['killed'] ?? 0) + 1;
      // Whatever comes next, here a backup, first finds out what the restore left.
      const follow = world.another();
      await world.must({ command: 'create', name: `after-${i}`, trigger: 'manual' }, follow);
      const state = await stateOf(world);
      expect([before, wanted], `kill ${i} after ${delay} ms`).toContain(state);
      if (end === 'done') expect(state).toBe(wanted);
      outcomes[state === wanted ? 'new' : 'old'] = (outcomes[state === wanted ? 'new' : 'old'] ?? 0) + 1;
      expect(await leftovers(world)).toEqual([]);
      await expectNoScratch(world);
      if (state === wanted) await make(kinds, 'old', world);
    }
    expect(Object.keys(await restoredFiles(world, 'new', world.another()))).toContain('big.bin');
    const check = await world.must<CheckView>({ command: 'check', readData: true }, world.another());
    expect(check.status).toBe('ok');
  } finally {
    await next.end();
  }
  return outcomes;
}

describe('a restore into the live application that is killed with SIGKILL', () => {
  it('of many files, 22 times at random moments: wholly old or wholly new at the next command', async () => {
    const outcomes = await killMany(['files'], 22, 7);
    expect(outcomes['killed']).toBeGreaterThan(6);
  }, 300_000);

  it('of several components: all of them old, or all of them new', async () => {
    const outcomes = await killMany(['files', 'config', 'database'], 7, 2);
    expect(outcomes['killed']).toBeGreaterThan(1);
  }, 300_000);
});
