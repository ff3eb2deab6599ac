import './lib/check-node.mjs';
import { ensureBuilt } from './lib/build.mjs';
import { main } from './lib/fail.mjs';
import { ensureInstalled } from './lib/install.mjs';

await main(async () => {
  await ensureInstalled();
  await ensureBuilt({ quiet: false });
});
