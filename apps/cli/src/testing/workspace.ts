import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type BetterSqlite3 from 'better-sqlite3';
import { tempDir, type TempDir } from '@foodsave-backup/testing';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

export interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  /** As another user of the machine. */
  uid?: number;
  cwd?: string;
}

/** A small application of its own for one test, and the built command line in its directory. */
export class Workspace implements AsyncDisposable {
  readonly #dir: TempDir;
  readonly env: Record<string, string> = {};

  private constructor(dir: TempDir) {
    this.#dir = dir;
  }

  static async open(config: string = CONFIG): Promise<Workspace> {
    if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: run "npm run build" first`);
    const workspace = new Workspace(await tempDir('foodsave-cli-'));
    await workspace.write('backup.yaml', config);
    return workspace;
  }

  /** With a database of `rows` rows, two uploads and a configuration file. */
  static async withData(rows = 500): Promise<Workspace> {
    const workspace = await Workspace.open();
    await workspace.write('data/uploads/a.txt', 'first upload\n');
    await workspace.write('data/uploads/deep/b.bin', Buffer.alloc(70_000, 7));
    await workspace.write('data/config/app.yaml', 'port: 8080\n');
    workspace.sql((db) => {
      db.exec('CREATE TABLE items (id INTEGER PRIMARY KEY, label TEXT NOT NULL)');
      const insert = db.prepare('INSERT INTO items (label) VALUES (?)');
      db.transaction(() => {
        for (let i = 0; i < rows; i++) insert.run(`item ${String(i)}`);
      })();
    });
    return workspace;
  }

  get dir(): string {
    return this.#dir.path;
  }

  path(...segments: string[]): string {
    return this.#dir.join(...segments);
  }

  async write(relative: string, content: string | Uint8Array): Promise<string> {
    const file = this.path(relative);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
    return file;
  }

  /** Opens the application's database as the application would. */
  sql<T>(work: (db: BetterSqlite3.Database) => T): T {
    const db = this.openDatabase();
    try {
      return work(db);
    } finally {
      db.close();
    }
  }

  openDatabase(): BetterSqlite3.Database {
    const Database = createRequire(import.meta.url)('better-sqlite3') as typeof BetterSqlite3;
    return new Database(this.path('data/app.db'));
  }

  start(args: readonly string[], options: RunOptions = {}): ChildProcess {
    const { PATH, HOME } = process.env;
    return spawn(process.execPath, [MAIN, ...args], {
      cwd: options.cwd ?? this.dir,
      env: { PATH, HOME, NO_COLOR: '1', ...this.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    });
  }

  /** With `input` on its stdin. */
  startWithInput(args: readonly string[], input: string): ChildProcess {
    const { PATH, HOME } = process.env;
    const env = { PATH, HOME, NO_COLOR: '1', ...this.env };
    const child = spawn(process.execPath, [MAIN, ...args], { cwd: this.dir, env, stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.end(input);
    return child;
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return finished(this.start(args, options));
  }

  /** Runs it, asserts the exit code, and gives the one JSON document on stdout. */
  async json<T = Record<string, unknown>>(args: readonly string[], code = 0, options: RunOptions = {}): Promise<T> {
    const result = await this.run([...args, '--json'], options);
    if (result.code !== code) {
      throw new Error(
        `${args.join(' ')} exited ${String(result.code)}, not ${String(code)}:\n${result.stdout}${result.stderr}`,
      );
    }
    return JSON.parse(result.stdout) as T;
  }

  /** The same on a terminal of its own, with `input` typed when `prompt` appears. Both streams come back as one. */
  async onTerminal(args: readonly string[], prompt: string, input: string): Promise<{ code: number; output: string }> {
    const command = [process.execPath, MAIN, ...args].map((word) => `'${word}'`).join(' ');
    const { PATH, HOME } = process.env;
    const child = spawn('script', ['--quiet', '--return', '--flush', '--command', command, '/dev/null'], {
      cwd: this.dir,
      env: { PATH, HOME, NO_COLOR: '1', TERM: 'xterm', ...this.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let seen = '';
    let answered = false;
    child.stdout.on('data', (bytes: Buffer) => {
      seen += bytes.toString();
      if (answered || !seen.includes(prompt)) return;
      answered = true;
      child.stdin.write(input);
    });
    const { code } = await finished(child);
    return { code, output: seen };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#dir.cleanup();
  }
}

export function finished(child: ChildProcess): Promise<Finished> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (bytes: Buffer) => (stdout += bytes.toString()));
    child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === null) reject(new Error(`ended by ${String(signal)}:\n${stdout}${stderr}`));
      else resolve({ code, stdout, stderr });
    });
  });
}

export const CONFIG = `application: shop
repository: { type: local, path: ./backups }
components:
  database: { driver: sqlite, path: ./data/app.db }
  files: { include: [./data/uploads] }
  config: { include: [./data/config] }
schedules: { timezone: UTC }
`;
