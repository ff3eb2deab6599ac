import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recoverLiveRestores } from '../index.ts';

const CHILD = fileURLToPath(new URL('./testing/live-restore-child.ts', import.meta.url));
let base: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'foodsave-kill-'));
});
afterEach(async () => {
  await rm(base, { recursive: true, force: true });
});

/** Starts the restore and kills it `delay` milliseconds after it has begun to commit. */
function killedRestore(delay: number): Promise<void> {
  const child = spawn(process.execPath, ['--conditions=@foodsave-backup/source', CHILD, base], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.on('data', (text: Buffer) => {
    if (text.includes('commit')) setTimeout(() => child.kill('SIGKILL'), delay);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0 || signal === 'SIGKILL') resolve();
      else reject(new Error(`the restore ended with ${code}`));
    });
  });
}

describe('a live restore that is killed', () => {
  it('leaves the data wholly old or wholly new once it is recovered, at any moment', async () => {
    const outcomes: string[] = [];
    for (const delay of [0, 3, 6, 10, 15, 25, 2000]) {
      await rm(join(base, 'data'), { recursive: true, force: true });
      await mkdir(join(base, 'data'));
      const old = ['extra', ...Array.from({ length: 150 }, (_, i) => `f${String(i * 2).padStart(3, '0')}`)];
      for (const name of old) await writeFile(join(base, 'data', name), 'old');
      await killedRestore(delay);
      await recoverLiveRestores([join(base, 'data')]);
      const names = await readdir(join(base, 'data'));
      const contents = new Set(await Promise.all(names.map((name) => readFile(join(base, 'data', name), 'utf8'))));
      const outcome = `${[...contents].join('+')} ${names.length}`;
      expect(['old 151', 'new 300']).toContain(outcome);
      expect(await readdir(base)).toEqual(['data']);
      outcomes.push(outcome);
    }
    expect(outcomes.at(-1)).toBe('new 300');
  });
});
