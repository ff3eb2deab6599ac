import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';

interface Dependency {
  module: string;
  resolved: string;
  couldNotResolve: boolean;
  dependencyTypes: string[];
}

interface Cruise {
  modules: { source: string; dependencies: Dependency[] }[];
  summary: { violations: { from: string; cycle?: { name: string }[]; rule: { name: string } }[] };
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FIXTURE = 'tools/layers-fixture';
const CRUISER = path.join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');

/** Runs the linter as `npm run lint` does. Violations make it exit with their number, so its output is read either way. */
async function cruise(...folders: string[]): Promise<Cruise> {
  const args = [CRUISER, '--config', '.dependency-cruiser.mjs', '--output-type', 'json', ...folders];
  const run = promisify(execFile)(process.execPath, args, { cwd: ROOT, maxBuffer: 256 * 1024 * 1024 });
  const { stdout } = await run.catch((error: unknown) => error as { stdout: string });
  return JSON.parse(stdout) as Cruise;
}

async function fixtures(): Promise<{ file: string; expected: string }[]> {
  const names = await readdir(path.join(ROOT, FIXTURE), { recursive: true });
  const files = names.filter((name) => /\.tsx?$/.test(name)).sort();
  return Promise.all(
    files.map(async (name) => {
      const text = await readFile(path.join(ROOT, FIXTURE, name), 'utf8');
      const expected = /^\/\/ expect: (\S+)\n/.exec(text)?.[1];
      if (expected === undefined) throw new Error(`${name} does not say which rule it expects`);
      return { file: `${FIXTURE}/${name}`, expected };
    }),
  );
}

const cases = await fixtures();

describe('layers: the fixtures', () => {
  let result: Cruise;
  const broken = (file: string): string[] => [
    ...new Set(
      result.summary.violations
        .filter(({ from, cycle = [] }) => from === file || cycle.some(({ name }) => name === file))
        .map(({ rule }) => rule.name),
    ),
  ];

  beforeAll(async () => {
    result = await cruise(FIXTURE);
  });

  test.each(cases)('$file breaks $expected', ({ file, expected }) => {
    expect(broken(file)).toEqual(expected === 'nothing' ? [] : [expected]);
  });

  test('each layer has a case that is refused', async () => {
    const config = (await import(path.join(ROOT, '.dependency-cruiser.mjs'))) as {
      layers: { layer: string; at: string }[];
    };
    const proven = new Set(
      result.summary.violations.map(({ rule }) => rule.name.replace(/-(conformance-|test-)?imports$/, '')),
    );
    expect(config.layers.map(({ layer }) => layer).filter((layer) => !proven.has(layer))).toEqual([]);
  });

  test('imports were really resolved, workspace packages to their sources', () => {
    const dependencies = result.modules
      .filter(({ source }) => source.startsWith(FIXTURE))
      .flatMap((module) => module.dependencies);
    const unresolved = dependencies.filter(({ couldNotResolve }) => couldNotResolve).map(({ module }) => module);
    expect(unresolved).toEqual(['./missing.ts']);
    const workspace = dependencies.filter(({ module }) => module.startsWith('@foodsave-backup/'));
    expect(workspace.length).toBeGreaterThan(20);
    for (const { resolved } of workspace) expect(resolved).toMatch(/^libs\/[^/]+\/src\/.+\.ts$/);
  });
});

test('layers: in the project itself, every import resolves, workspace packages to their sources', async () => {
  const { modules } = await cruise('libs', 'apps', 'tools/recover', 'tools/scripts', 'examples');
  const dependencies = modules.flatMap((module) => module.dependencies);
  const unresolved = dependencies.filter(({ couldNotResolve }) => couldNotResolve).map(({ module }) => module);
  expect(unresolved).toEqual([]);
  const workspace = dependencies.filter(({ module }) => module.startsWith('@foodsave-backup/'));
  expect(workspace.length).toBeGreaterThan(20);
  for (const { resolved } of workspace) expect(resolved).toMatch(/^libs\/[^/]+\/src\/.+\.ts$/);
});
