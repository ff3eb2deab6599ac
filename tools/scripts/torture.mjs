import './lib/check-node.mjs';
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { ensureDebianPackages } from './lib/debian.mjs';
import { main } from './lib/fail.mjs';
import { ensureInstalled } from './lib/install.mjs';
import { runTests } from './lib/vitest.mjs';

// npm run torture: kills create, restore, cleanup and delete far more often than npm test does, at calls that the seed chooses.
// npm run torture -- --kills 200 --seed 1f2e3d4c
await main(async () => {
  const { values } = parseArgs({ options: { kills: { type: 'string', default: '100' }, seed: { type: 'string' } } });
  const kills = Number(values.kills);
  if (!Number.isSafeInteger(kills) || kills < 1)
    throw new Error(`--kills takes a number from 1 up, not ${values.kills}`);
  const seed = values.seed ?? randomBytes(4).toString('hex');
  await ensureInstalled({ compilers: 'wanted' });
  await ensureDebianPackages({ required: true });
  console.log(
    `At least ${kills} kills in each phase. To repeat it: npm run torture -- --kills ${kills} --seed ${seed}`,
  );
  process.env.FOODSAVE_BACKUP_KILLS = String(kills);
  process.env.FOODSAVE_BACKUP_SEED = seed;
  const { passed, failed, ok } = await runTests(['libs/engine/src/kill-']);
  console.log(`${passed} passed, ${failed} failed; seed ${seed}`);
  return ok ? 0 : 1;
});
