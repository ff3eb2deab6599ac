import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { node24 } from './node24.mjs';
import { inRoot } from './paths.mjs';
import { stream } from './process.mjs';

/**
 * Runs vitest with its usual output. `failed` counts test files that did not even load, too; `ok` is false as well when
 * no test ran or when vitest itself reports trouble, such as an error outside of any test.
 */
export async function runTests(args) {
  const folder = mkdtempSync(path.join(tmpdir(), 'foodsave-tests-'));
  const report = path.join(folder, 'report.json');
  // The cache of transformed modules does not notice changes of a tsconfig.
  const cache = process.env.CI ? ['--no-fsModuleCache'] : [];
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  try {
    const vitest = inRoot('node_modules', 'vitest', 'vitest.mjs');
    const code = await stream(node24(), [vitest, 'run', ...cache, ...reporters, ...args]);
    const { passed, failed } = count(report);
    return { passed, failed, ok: code === 0 && failed === 0 && passed > 0 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function count(report) {
  let result;
  try {
    result = JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    return { passed: 0, failed: 0 }; // vitest ended before it could report; its exit code says so
  }
  const notLoaded = result.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((assertion) => assertion.status === 'failed'),
  );
  return { passed: result.numPassedTests, failed: result.numFailedTests + notLoaded.length };
}
