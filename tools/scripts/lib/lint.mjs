import { existsSync } from 'node:fs';
import { node24 } from './node24.mjs';
import { inRoot } from './paths.mjs';
import { capture } from './process.mjs';

const modules = (...parts) => inRoot('node_modules', ...parts);

const LAYERED = ['libs', 'apps', 'tools/recover', 'tools/scripts', 'examples'];

/** Each check: what it says in the summary, the tool's script and its arguments. */
const CHECKS = [
  {
    name: 'format (prettier)',
    script: modules('prettier', 'bin', 'prettier.cjs'),
    args: ['--check', '--log-level=warn', '.'],
  },
  {
    name: 'layers (dependency-cruiser)',
    script: modules('dependency-cruiser', 'bin', 'dependency-cruiser.mjs'),
    args: ['--config', '.dependency-cruiser.mjs', ...LAYERED],
  },
  { name: 'types (tsc)', script: modules('typescript', 'bin', 'tsc'), args: ['-p', 'tsconfig.check.json'] },
  {
    name: 'types of the web (tsc)',
    script: modules('typescript', 'bin', 'tsc'),
    args: ['--noEmit', '-p', 'apps/web/tsconfig.json'],
    needs: 'apps/web/tsconfig.json',
  },
  { name: 'dead code (knip)', script: modules('knip', 'bin', 'knip.js'), args: ['--no-progress', '--no-config-hints'] },
  { name: 'rules (eslint)', script: modules('eslint', 'bin', 'eslint.js'), args: ['--max-warnings=0', '.'] },
];

/** Runs every check, whatever the others found, two at a time; prints the output of those that fail, then a summary. */
export async function lintAll() {
  const node = node24();
  const checks = CHECKS.filter(({ needs }) => needs === undefined || existsSync(inRoot(needs)));
  const results = new Map();
  const queue = [...checks].reverse(); // the longest first
  const worker = async () => {
    for (let check = queue.shift(); check !== undefined; check = queue.shift()) {
      const started = Date.now();
      const { code, output } = await capture(node, [check.script, ...check.args]);
      results.set(check.name, { code, seconds: (Date.now() - started) / 1_000 });
      if (code !== 0) console.log(`\n── ${check.name} ──\n${output.trimEnd()}`);
    }
  };
  await Promise.all([worker(), worker()]);

  console.log('\nlint');
  for (const { name } of checks) {
    const { code, seconds } = results.get(name);
    console.log(`  ${code === 0 ? 'ok    ' : 'FAILED'}  ${name}, ${seconds.toFixed(1)} s`);
  }
  return [...results.values()].every(({ code }) => code === 0);
}
