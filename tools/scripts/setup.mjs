import './lib/check-node.mjs';
import { ensureBuilt } from './lib/build.mjs';
import { main } from './lib/fail.mjs';
import { ensureInstalled } from './lib/install.mjs';

// Installs and builds; starts nothing. Afterwards bin/foodsave-backup works.
await main(async () => {
  await ensureInstalled();
  await ensureBuilt();
  console.error('Ready. Next: npm start, or bin/foodsave-backup --help');
});
