import { afterAll, beforeAll, expect, it } from 'vitest';
import { dataOf, expectHealed } from './testing/after-kill.ts';
import { CAMPAIGN_MS, expectEnough, KillCampaign } from './testing/kill-campaign.ts';
import { changeData } from './testing/world.ts';

let campaign: KillCampaign;
beforeAll(async () => {
  campaign = await KillCampaign.start({ kinds: ['files', 'config'] });
});
afterAll(() => campaign[Symbol.asyncDispose]());

it(
  'a create that is killed in any phase: old backups are whole, its own is whole or absent',
  async () => {
    let old: Record<string, string> = {};
    const tally = await campaign.run('create', {
      command: () => ({ command: 'create', name: 'new', trigger: 'manual' }),
      prepare: async (world, round) => {
        await changeData(world, `old ${round}`);
        await world.create('old');
        await world.engine.hold('old', { on: true });
        old = await dataOf(world);
        await changeData(world, `new ${round}`);
      },
      judge: async (world, { done, turn }) => {
        const acknowledged = new Map([['old', old]]);
        const own = new Map([['new', await dataOf(world)]]);
        if (done) acknowledged.set('new', own.get('new') ?? {});
        const names = await expectHealed(world, { turn, acknowledged, perhaps: own });
        return names.includes('new') ? 'became a backup' : 'no backup';
      },
    });
    expectEnough(tally);
    expect([...(tally.get('capture')?.keys() ?? [])]).toEqual(['no backup']);
    expect([...(tally.get('release')?.keys() ?? [])]).toEqual(['became a backup']);
  },
  CAMPAIGN_MS,
);
