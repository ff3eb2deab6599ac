import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { databasePath, generateSample } from './generate.ts';
import { inspectDatabase } from './inspect.ts';
import { writeLive } from './live.ts';
import { updateRandomRows } from './mutate.ts';

const LAUNCHER = fileURLToPath(new URL('../../../../tools/scripts/sample.mjs', import.meta.url));
const CLI = fileURLToPath(new URL('./cli.ts', import.meta.url));

let scratch: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'foodsave-live-'));
});

afterEach(() => {
  rmSync(scratch, { recursive: true, force: true });
});

/** A live writer in a process of its own. */
class Writer {
  readonly #child;
  readonly #exited: Promise<unknown[]>;
  readonly numbers: number[] = [];

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#exited = once(this.#child, 'exit');
    createInterface(this.#child.stdout).on('line', (line) => {
      const number = /^committed (\d+)$/.exec(line)?.[1];
      if (number !== undefined) this.numbers.push(Number(number));
    });
  }

  async reaches(lines: number): Promise<void> {
    while (this.numbers.length < lines) {
      if (this.#child.exitCode !== null) throw new Error(`the writer ended with ${String(this.#child.exitCode)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Ends it and answers exit code and signal. */
  async end(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<unknown[]> {
    this.#child.kill(signal);
    return this.#exited;
  }
}

describe('the live writer', () => {
  test.for(['SIGTERM', 'SIGINT'] as const)(
    'numbers without a gap until %s, started by whatever node there is',
    async (signal) => {
      const writer = new Writer('node', [LAUNCHER, scratch, '--scale', '0.2', '--live']);
      await writer.reaches(5);
      expect(await writer.end(signal)).toEqual([0, null]);
      const state = inspectDatabase(databasePath(scratch));
      expect(state.problems).toEqual([]);
      expect(writer.numbers).toEqual([...writer.numbers].sort((a, b) => a - b));
      expect(state.lastSeq).toBe(writer.numbers.at(-1));
    },
  );

  test('stays gapless with two writers and a third that changes rows, and loses nothing to kill -9', async () => {
    const { database } = generateSample(scratch, { scale: 0.2 });
    const before = inspectDatabase(database).rows;
    const writers = ['a', 'b'].map((seed) => new Writer(process.execPath, [CLI, scratch, '--live', '--seed', seed]));
    await Promise.all(writers.map((writer) => writer.reaches(3)));
    expect(updateRandomRows(database, 2)).toBeGreaterThan(1);
    await Promise.all(writers.map((writer) => writer.reaches(writer.numbers.length + 3)));
    expect(await Promise.all(writers.map((writer) => writer.end('SIGKILL')))).toEqual([
      [null, 'SIGKILL'],
      [null, 'SIGKILL'],
    ]);
    const state = inspectDatabase(database);
    expect(state.problems).toEqual([]);
    expect(state.lastSeq).toBeGreaterThanOrEqual(Math.max(...writers.flatMap((writer) => writer.numbers)));
    expect(state.rows.receipt_items).toBeGreaterThan(before.receipt_items);
    expect(state.rows.receipts).toBe(before.receipts);
  });

  test('waits for a lock that somebody holds, and goes on from the number it finds then', async () => {
    const { database } = generateSample(scratch, { scale: 0.1 });
    const writer = new Writer(process.execPath, [CLI, scratch, '--live']);
    await writer.reaches(2);
    const holder = new Database(database, { timeout: 5000 });
    holder.exec('BEGIN IMMEDIATE; DELETE FROM ledger WHERE seq > 2');
    await new Promise((resolve) => setTimeout(resolve, 500));
    holder.exec('COMMIT');
    holder.close();
    const lines = writer.numbers.length;
    await writer.reaches(lines + 2);
    expect(await writer.end('SIGTERM')).toEqual([0, null]);
    expect(inspectDatabase(database).problems).toEqual([]);
  });

  test('ends by itself after the wanted time, and at once when it is told to before it begins', async () => {
    const { database } = generateSample(scratch, { scale: 0.1 });
    const numbers: number[] = [];
    const onCommitted = (seq: number): void => void numbers.push(seq);
    const committed = await writeLive(database, {
      seconds: 0.3,
      rate: 300,
      signal: new AbortController().signal,
      onCommitted,
    });
    expect(committed).toBeGreaterThan(0);
    expect(numbers.at(-1)).toBe(1 + committed);
    expect(await writeLive(database, { signal: AbortSignal.abort(), onCommitted })).toBe(0);
  });
});

describe('the command', () => {
  const run = (...args: string[]): { code: number; output: string } => {
    try {
      return { code: 0, output: execFileSync('node', [LAUNCHER, ...args], { encoding: 'utf8', stdio: 'pipe' }) };
    } catch (error) {
      const failed = error as { status: number; stderr: string };
      return { code: failed.status, output: failed.stderr };
    }
  };

  test('says what it made and how large it is, then changes rows of it', () => {
    const made = run(scratch, '--database-size', '1MB');
    expect(made.output).toMatch(/data\/foodsave\.db +\d+\.\d (MB|kB) {2}1 file/);
    expect(run(scratch, '--update-rows', '10').output).toMatch(/^changed \d{2,} rows of receipt_items\n$/);
    expect(inspectDatabase(databasePath(scratch)).problems).toEqual([]);
  });

  test.for([
    [[], 'exactly one directory'],
    [['x', '--scale', 'much'], '--scale is not a number'],
    [['x', '--database-size', '3 parsecs'], '--database-size is not a size'],
    [['x', '--colour'], '--colour'],
  ] as const)('refuses %j with exit code 2 and a reason', ([args, reason]) => {
    const refused = run(...args);
    expect(refused.code).toBe(2);
    expect(refused.output).toContain(reason);
    expect(refused.output).not.toMatch(/^\s+at /m);
  });
});
