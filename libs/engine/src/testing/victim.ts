import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { bundlePrograms } from '@foodsave-backup/testing/bundle';
import type { Command } from '../types.ts';
import type { KillPoint, Order, Told } from './kill-child.ts';
import type { World } from './world.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Bundles what a victim runs: itself, and the process in which it opens SQLite. */
export async function bundleVictim(directory: string): Promise<void> {
  // The name is what the victim looks for beside itself.
  const main = here('./sqlite-child.ts');
  await bundlePrograms(directory, { victim: here('./kill-child.ts'), main });
}

/** A process that carries out one command on a world's application, and is killed on the way or not (kill-child.ts). */
export class Victim {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #ended: Promise<string[]>;

  /** `bundle`: where `bundleVictim` put it. It is started at once, so that it is warm when it is needed. */
  constructor(bundle: string, world: World) {
    const args = [join(bundle, 'victim.js'), world.path, world.kinds.join(), world.encrypted ? 'encrypted' : 'plain'];
    const env = { ...process.env, UV_THREADPOOL_SIZE: '1', NODE_COMPILE_CACHE: join(bundle, 'cache') };
    this.#child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'], env });
    // One that is ended unused breaks the pipe; how a used one ends is told by its lines.
    this.#child.stdin.on('error', () => undefined);
    const lines: string[] = [];
    createInterface({ input: this.#child.stdout }).on('line', (line) => lines.push(line));
    this.#ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', () => {
        resolve(lines);
      });
    });
  }

  /** Carries a command out to its end. Every call that it makes to the file system, in order. */
  async trace(command: Command): Promise<Told[]> {
    const lines = await this.#obey({ command });
    if (!lines.includes('done')) throw new Error(`${command.command}: ${lines.at(-1) ?? 'nothing'}`);
    return lines
      .filter((line) => line.startsWith('call '))
      .map((line) => JSON.parse(line.slice('call '.length)) as Told);
  }

  /** The call in which it was killed; "done" when the command made fewer calls. Throws when the command failed. */
  async kill(command: Command, kill: KillPoint): Promise<Told | 'done'> {
    const lines = await this.#obey({ command, kill });
    const killed = lines.find((line) => line.startsWith('killed '));
    if (killed !== undefined && this.#child.signalCode === 'SIGKILL')
      return JSON.parse(killed.slice('killed '.length)) as Told;
    if (lines.includes('done')) return 'done';
    throw new Error(`${command.command}: ${lines.at(-1) ?? `ended with ${String(this.#child.exitCode)}`}`);
  }

  async #obey(order: Order): Promise<string[]> {
    this.#child.stdin.end(`${JSON.stringify(order)}\n`);
    return this.#ended;
  }

  async end(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
