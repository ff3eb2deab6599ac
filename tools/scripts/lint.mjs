import './lib/check-node.mjs';
import { main } from './lib/fail.mjs';
import { ensureInstalled } from './lib/install.mjs';
import { lintAll } from './lib/lint.mjs';

await main(async () => {
  await ensureInstalled();
  return (await lintAll()) ? 0 : 1;
});
