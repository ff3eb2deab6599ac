import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataOf, expectHealed, namesOf } from './testing/after-kill.ts';
import { CAMPAIGN_MS, expectEnough, KillCampaign } from './testing/kill-campaign.ts';
import { changeData, noise, type World } from './testing/world.ts';

let campaign: KillCampaign;
beforeAll(async () => {
  campaign = await KillCampaign.start({
    kinds: ['files', 'config'],
    config: { retention: { daily: 1, weekly: 0, monthly: 0 } },
  });
});
afterAll(() => campaign[Symbol.asyncDispose]());

type Data = Map<string, Record<string, string>>;

/** Backups of different data that share some; "kept" is held. */
async function several(world: World, round: number, names: readonly string[]): Promise<Data> {
  const data: Data = new Map();
  for (const name of names) {
    await changeData(world, `${name} ${round}`);
    // Of a pack that holds little else but this, what is still needed is copied out when the backup goes.
    if (name !== 'kept' && name !== 'last') await world.write('data/files/gone.bin', noise(`${round}`, 600_000));
    await world.create(name);
    data.set(name, await dataOf(world));
    await world.remove('data/files/gone.bin');
  }
  await world.engine.hold('kept', { on: true });
  return data;
}

const part = (data: Data, ...names: string[]): Data => new Map([...data].filter(([name]) => names.includes(name)));

describe('killed in any phase', () => {
  it(
    'a cleanup: what it keeps is whole, what it deletes is whole or gone, and the next one finishes',
    async () => {
      let data: Data = new Map();
      const tally = await campaign.run('cleanup', {
        command: () => ({ command: 'cleanup' }),
        prepare: async (world, round) => {
          data = await several(world, round, ['kept', 'dropped', 'last']);
        },
        judge: async (world, { done, turn }) => {
          const before = await namesOf(world);
          if (done) expect(before).not.toContain('dropped');
          await expectHealed(world, { turn, acknowledged: part(data, 'kept', 'last'), perhaps: part(data, 'dropped') });
          await world.must<unknown>({ command: 'cleanup' }, world.another());
          const after = await namesOf(world);
          expect(after).toContain('kept');
          expect(after).not.toContain('dropped');
          return before.includes('dropped') ? 'to be dropped' : 'dropped';
        },
      });
      expectEnough(tally);
      expect([...(tally.get('plan')?.keys() ?? [])]).toEqual(['to be dropped']);
      expect([...(tally.get('index')?.keys() ?? [])]).toEqual(['dropped']);
    },
    CAMPAIGN_MS,
  );

  it(
    'a delete: the backup is whole or gone, and the others are whole',
    async () => {
      let data: Data = new Map();
      const tally = await campaign.run('delete', {
        command: () => ({ command: 'delete', name: 'doomed' }),
        prepare: async (world, round) => {
          data = await several(world, round, ['kept', 'doomed', 'last']);
        },
        judge: async (world, { done, turn }) => {
          const before = await namesOf(world);
          if (done) expect(before).not.toContain('doomed');
          const after = { turn, acknowledged: part(data, 'kept'), perhaps: part(data, 'doomed', 'last') };
          expect(before).toContain('last');
          await expectHealed(world, after);
          return before.includes('doomed') ? 'still there' : 'gone';
        },
      });
      expectEnough(tally);
      expect([...(tally.get('lease')?.keys() ?? [])]).toEqual(['still there']);
      expect([...(tally.get('prune')?.keys() ?? [])]).toEqual(['gone']);
    },
    CAMPAIGN_MS,
  );
});
