import './lib/check-node.mjs';
import { ensureBuilt } from './lib/build.mjs';
import { main } from './lib/fail.mjs';
import { ensureInstalled } from './lib/install.mjs';
import { node24 } from './lib/node24.mjs';
import { inRoot } from './lib/paths.mjs';
import { stream } from './lib/process.mjs';

// npm run bench: what is built, beside restic and Borg. See npm run bench -- --help.
await main(async () => {
  await ensureInstalled();
  await ensureBuilt();
  const args = ['--conditions=@foodsave-backup/source', inRoot('bench', 'src', 'main.ts'), ...process.argv.slice(2)];
  return stream(node24(), args);
});
