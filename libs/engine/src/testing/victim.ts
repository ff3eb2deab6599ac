import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Command } from '../types.ts';
import type { World } from './world.ts';

const SCRIPT = fileURLToPath(new URL('./kill-child.ts', import.meta.url));

/** A process that carries out commands on a world's application, to be killed (kill-child.ts). */
export class Victim {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #exited: Promise<void>;
  readonly #lines: string[] = [];
  readonly #waiting: (() => void)[] = [];
  #alive = true;

  constructor(world: World, encryption = false) {
    const args = [
      '--conditions=@foodsave-backup/source',
      SCRIPT,
      world.path,
      world.kinds.join(),
      encryption ? 'encrypted' : 'plain',
    ];
    this.#child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.#lines.push(line);
      for (const wake of this.#waiting.splice(0)) wake();
    });
    this.#child.stdin.on('error', () => undefined);
    this.#exited = new Promise((resolve) => {
      this.#child.once('close', () => {
        this.#alive = false;
        for (const wake of this.#waiting.splice(0)) wake();
        resolve();
      });
    });
  }

  /** The first line that begins so, now or later; undefined when the process ends without it. */
  async line(...starts: string[]): Promise<string | undefined> {
    for (;;) {
      const found = this.#lines.find((line) => starts.some((start) => line.startsWith(start)));
      if (found !== undefined || !this.#alive) return found;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /**
   * Has a command carried out and kills the process `delay` ms after it said `after`, unless it has finished by then. What
   * it said at the end: "done", or undefined when it was killed before. Throws when the command failed.
   */
  async kill(command: Command, after: 'begin' | 'staged', delay: number): Promise<'done' | undefined> {
    await this.line('ready');
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    await this.line(after, 'done', 'failed');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), delay);
    const end = await this.line('done', 'failed');
    clearTimeout(timer);
    await this.end();
    if (end?.startsWith('failed') === true) throw new Error(`${command.command} ${end}`);
    return end === undefined ? undefined : 'done';
  }

  async end(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}
