import { execFileSync, spawnSync } from 'node:child_process';
import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  unlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { run } from '../src/cli.ts';

export interface Result {
  code: number | null;
  out: string;
  err: string;
}

/** A temporary directory of the test file that calls it, removed at its end. */
export function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'recover-test-'));
  afterAll(() => {
    execFileSync('chmod', ['-R', 'u+rwX', directory]);
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

/** Builds recover.mjs into a directory. */
export function buildInto(directory: string): string {
  execFileSync(process.execPath, [join(import.meta.dirname, '../build.mjs'), directory]);
  return join(directory, 'recover.mjs');
}

/** Runs the built program as a process of its own. */
export function execute(
  program: string,
  args: string[],
  options: { env?: Record<string, string>; cwd?: string; node?: string[] } = {},
): Result {
  const { env = {}, cwd = tmpdir(), node = [] } = options;
  const result = spawnSync(process.execPath, [...node, program, ...args], {
    cwd,
    env: { PATH: process.env['PATH'], ...env },
    encoding: 'utf8',
    input: '',
    maxBuffer: 64 * 1024 * 1024,
  });
  return { code: result.status, out: result.stdout, err: result.stderr };
}

/** Runs the same commands in this process: for tests that need thousands of runs. */
export async function runHere(args: string[], env: Record<string, string> = {}): Promise<Result> {
  let out = '';
  let err = '';
  const code = await run(args, {
    out: (text) => (out += text),
    err: (text) => (err += text),
    progress: undefined,
    env,
    cwd: tmpdir(),
    home: tmpdir(),
    ask: undefined,
  });
  return { code, out, err };
}

/** All files and links below a directory; names as latin1, so that any byte can be told apart. */
export function snapshot(directory: string): { files: Map<string, Buffer>; links: Map<string, string> } {
  const files = new Map<string, Buffer>();
  const links = new Map<string, string>();
  const visit = (path: Buffer, relative: string): void => {
    for (const name of readdirSync(path, { encoding: 'buffer' })) {
      const at = Buffer.concat([path, Buffer.from('/'), name]);
      const below = relative === '' ? name.toString('latin1') : `${relative}/${name.toString('latin1')}`;
      const stat = lstatSync(at);
      if (stat.isDirectory()) visit(at, below);
      else if (stat.isSymbolicLink()) links.set(below, readlinkSync(at));
      else files.set(below, readFileSync(at));
    }
  };
  visit(Buffer.from(directory), '');
  return { files, links };
}

/** What differs between two sets of files, by name: nothing when they are the same, byte for byte. */
export function differences(found: ReadonlyMap<string, Buffer>, wanted: ReadonlyMap<string, Buffer>): string[] {
  const names = new Set([...found.keys(), ...wanted.keys()]);
  return [...names].filter((name) => {
    const [a, b] = [found.get(name), wanted.get(name)];
    return !a || !b || !a.equals(b);
  });
}

/** Removes a directory that a test restored: for thousands of small ones much faster than `rmSync`. */
export function remove(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) remove(path);
    else unlinkSync(path);
  }
  rmdirSync(directory);
}
