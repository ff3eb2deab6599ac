import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable } from 'node:stream';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tempDir } from '@foodsave-backup/testing';
import { sampleApplication } from './harness.ts';
import { ledger } from './sqlite.ts';

const BACKUPS = 20;

/** The sample's live writer in a process of its own; `last` is the newest number it has told to be committed. */
class Writer {
  readonly #child: ChildProcessByStdio<null, Readable, null>;
  readonly exited: Promise<void>;
  last = 0;

  constructor(directory: string) {
    const cli = new URL('../examples/foodsave/src/sample/cli.ts', import.meta.url).pathname;
    const args = ['--conditions=@foodsave-backup/source', cli, directory, '--live'];
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const match = /^committed (\d+)$/.exec(line);
      if (match?.[1] !== undefined) this.last = Number(match[1]);
    });
    this.exited = new Promise((resolve) => {
      this.#child.once('exit', () => {
        resolve();
      });
    });
  }

  async passes(seq: number): Promise<void> {
    while (this.last <= seq) {
      if (this.#child.exitCode !== null) throw new Error(`The live writer ended with ${this.#child.exitCode}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.exited;
  }
}

it(
  '20 backups beside a live writer each hold a gapless prefix with every earlier commit',
  { timeout: 300_000 },
  async () => {
    await using temp = await tempDir();
    const app = await sampleApplication(temp.path, { seed: '3', scale: 1 });
    const writer = new Writer(temp.path);
    const atLeast: number[] = [];
    try {
      await writer.passes(0);
      for (let i = 0; i < BACKUPS; i++) {
        await writer.passes(atLeast.at(-1) ?? 0);
        atLeast.push(writer.last);
        await app.must({
          command: 'create',
          name: `b${i}`,
          components: ['database'],
          trigger: 'manual',
          verify: false,
        });
      }
    } finally {
      await writer.stop();
    }
    const counts: number[] = [];
    for (let i = 0; i < BACKUPS; i++) {
      const target = join(temp.path, `out${i}`);
      await app.must({ command: 'restore', name: `b${i}`, target });
      const found = ledger(join(target, 'data/foodsave.db'));
      expect(found.integrity).toBe('ok');
      expect(found.count, 'no gap').toBe(found.last);
      expect(found.last, 'every commit before the capture began').toBeGreaterThanOrEqual(atLeast[i] ?? Infinity);
      counts.push(found.last);
    }
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
  },
);
