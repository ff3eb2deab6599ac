import './lib/check-node.mjs';
import { ensureBuilt } from './lib/build.mjs';
import { ensureDebianPackages } from './lib/debian.mjs';
import { main } from './lib/fail.mjs';
import { ensureInstalled } from './lib/install.mjs';
import { lintAll } from './lib/lint.mjs';
import { runTests } from './lib/vitest.mjs';

// npm test: everything, as CI runs it. npm test -- libs/storage: the tests of one place only (arguments are vitest's).
await main(async () => {
  const args = process.argv.slice(2);
  const everything = args.length === 0;
  await ensureInstalled({ compilers: everything ? 'required' : 'wanted' });
  await ensureDebianPackages({ required: everything });
  // The libraries' tests run their sources; all others may start what was built.
  const places = args.filter((arg) => !arg.startsWith('-'));
  if (places.length === 0 || !places.every((place) => /^(\.\/)?libs\//.test(place))) await ensureBuilt();
  const lintPassed = everything ? await lintAll() : true;

  const { passed, failed, ok } = await runTests(args);
  if (!lintPassed) console.log('lint failed: see above');
  console.log(`${passed} passed, ${failed} failed`);
  return ok && lintPassed ? 0 : 1;
});
