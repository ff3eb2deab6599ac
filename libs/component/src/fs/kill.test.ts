import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tempDir, type TempDir } from '@foodsave-backup/testing';
import { bundlePrograms } from '@foodsave-backup/testing/bundle';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { recoverLiveRestores } from '../index.ts';

const CHILD = fileURLToPath(new URL('../testing/live-restore-child.ts', import.meta.url));
let temp: TempDir;
let base: string;
beforeAll(async () => {
  temp = await tempDir('foodsave-kill-');
  base = temp.join('application');
  await mkdir(base);
  await bundlePrograms(temp.join('bundle'), { child: CHILD });
});
afterAll(() => temp.cleanup());

/** The restore, killed just before that call of its commit. How many calls there are, or 0 when it was killed. */
async function restoreAndKill(at: number): Promise<number> {
  const env = { ...process.env, NODE_COMPILE_CACHE: temp.join('cache') };
  const child = spawn(process.execPath, [temp.join('bundle/child.js'), base, String(at)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env,
  });
  const exited = once(child, 'close');
  let printed = '';
  for await (const text of child.stdout) printed += String(text);
  const [code, signal] = (await exited) as [number | null, string | null];
  if (code !== 0 && signal !== 'SIGKILL') throw new Error(`the restore ended with ${code}`);
  return Number(printed);
}

async function outcomeOf(at: number): Promise<{ calls: number; outcome: string }> {
  await rm(join(base, 'data'), { recursive: true, force: true });
  await mkdir(join(base, 'data'));
  const old = ['extra', ...Array.from({ length: 30 }, (_, i) => `f${String(i * 2).padStart(3, '0')}`)];
  for (const name of old) await writeFile(join(base, 'data', name), 'old');
  const calls = await restoreAndKill(at);
  await recoverLiveRestores([join(base, 'data')]);
  const names = await readdir(join(base, 'data'));
  const contents = new Set(await Promise.all(names.map((name) => readFile(join(base, 'data', name), 'utf8'))));
  expect(await readdir(base)).toEqual(['data']);
  return { calls, outcome: `${[...contents].join('+')} ${names.length}` };
}

describe('a live restore that is killed', () => {
  it('leaves the data wholly old or wholly new once it is recovered, wherever in the commit', async () => {
    const whole = await outcomeOf(0);
    expect(whole.outcome).toBe('new 60');
    const last = whole.calls;
    // Before the first call, in the journal, among the renames, and around the file that says that all is done.
    const points = [1, 4, 40, Math.floor(last / 2), last - 40, ...Array.from({ length: 9 }, (_, i) => last - 8 + i)];
    const outcomes: string[] = [];
    for (const at of points) {
      const { calls, outcome } = await outcomeOf(at);
      expect(calls, `call ${at} was made`).toBe(0);
      expect(['old 31', 'new 60']).toContain(outcome);
      outcomes.push(outcome);
    }
    // Once it counts as done it never goes back.
    expect(outcomes).toEqual([...outcomes].sort().reverse());
    expect(new Set(outcomes).size).toBe(2);
  }, 300_000);
});
