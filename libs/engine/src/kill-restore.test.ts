import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataOf, expectHealed } from './testing/after-kill.ts';
import { CAMPAIGN_MS, expectEnough, KillCampaign } from './testing/kill-campaign.ts';
import { changeData, type World } from './testing/world.ts';

let campaign: KillCampaign;
beforeAll(async () => {
  campaign = await KillCampaign.start({ kinds: ['files', 'config'] });
});
afterAll(() => campaign[Symbol.asyncDispose]());

/** A held backup "old", and an application that has moved on since. */
async function moveOn(
  world: World,
  round: number,
): Promise<{ old: Record<string, string>; live: Record<string, string> }> {
  await changeData(world, `old ${round}`);
  await world.create('old');
  await world.engine.hold('old', { on: true });
  const old = await dataOf(world);
  await world.remove('data/files/sub');
  await world.remove('data/files/only');
  await changeData(world, `live ${round}`);
  return { old, live: await dataOf(world) };
}

/** Killed before its first move: undone, or (which would be wrong) finished. */
const BEFORE_FIRST_MOVE = ['old, nothing moved', 'new, nothing moved'] as const;

describe('a restore that is killed in any phase', () => {
  it(
    'into a directory: the backup and the application are as they were, and it can be run again',
    async () => {
      let old: Record<string, string> = {};
      let live: Record<string, string> = {};
      const tally = await campaign.run('restore to a directory', {
        command: ({ path }) => ({ command: 'restore', name: 'old', target: `${path}/target` }),
        prepare: async (world, round) => {
          ({ old, live } = await moveOn(world, round));
        },
        judge: async (world, { done, turn }) => {
          expect(await dataOf(world)).toEqual(live);
          const found = JSON.stringify(await dataOf(world, world.join('target'))) === JSON.stringify(old);
          if (done) expect(found).toBe(true);
          await world.remove('target');
          await expectHealed(world, { turn, acknowledged: new Map([['old', old]]) });
          return found ? 'all there' : 'part of it';
        },
      });
      expectEnough(tally);
    },
    CAMPAIGN_MS,
  );

  it(
    'into the live application: all of it is old or all of it new at the next command',
    async () => {
      let old: Record<string, string> = {};
      let live: Record<string, string> = {};
      const tally = await campaign.run('restore into the live application', {
        command: () => ({ command: 'restore', name: 'old' }),
        prepare: async (world, round) => {
          ({ old, live } = await moveOn(world, round));
        },
        judge: async (world, { done, turn, point }) => {
          // A backup is made of the one or of the other.
          await world.must({ command: 'create', name: 'settled', trigger: 'manual' }, world.another());
          const now = await dataOf(world);
          expect([live, old]).toContainEqual(now);
          const restored = JSON.stringify(now) === JSON.stringify(old);
          if (done) expect(restored).toBe(true);
          const acknowledged = new Map([
            ['old', old],
            ['settled', now],
          ]);
          await expectHealed(world, { turn, acknowledged });
          // Where nothing was moved there is only the way back (ways-out.ts).
          const unmoved = point.phase === 'swap' && point.at === 1 && point.moment === 'before';
          if (unmoved) return BEFORE_FIRST_MOVE[restored ? 1 : 0];
          return restored ? 'new' : 'old';
        },
      });
      expectEnough(tally);
      for (const phase of ['plan', 'stage', 'journal']) expect([...(tally.get(phase)?.keys() ?? [])]).toEqual(['old']);
      for (const phase of ['swap', 'commit', 'finish']) {
        const outcomes = [...(tally.get(phase)?.keys() ?? [])];
        expect(outcomes.filter((outcome) => outcome !== BEFORE_FIRST_MOVE[0])).toEqual(['new']);
      }
    },
    CAMPAIGN_MS,
  );
});
