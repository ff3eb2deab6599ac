import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import Database from 'better-sqlite3';
import { expect, it } from 'vitest';
import type { RestoreResult } from '@foodsave-backup/engine';
import { tempDir } from '@foodsave-backup/testing';
import { openApplication } from './harness.ts';

const RESTORES = 100;
const ROWS = 200;
const BYTES = 40_000;

const CONFIG = `application: contended
repository: { type: local, path: ./backups }
components:
  database:
    wal: { driver: sqlite, path: ./data/wal.db, busyTimeoutMs: 60000 }
    rollback: { driver: sqlite, path: ./data/rollback.db, busyTimeoutMs: 60000 }
  files: { include: [./data/files] }
retention: { daily: 7 }
`;

interface Round {
  mark: string;
  generations: number[];
  rounds: number;
  busy: number;
}

/** A process that reads or writes all the time, see testing/contender.ts. */
class Contender {
  readonly name: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: string[] = [];
  readonly #exited: Promise<void>;
  #wake: () => void = () => undefined;
  #alive = true;

  constructor(role: 'reader' | 'writer', binding: 'sqlite3' | 'better-sqlite3', directory: string) {
    this.name = `${role} with ${binding}`;
    const script = new URL('./testing/contender.ts', import.meta.url).pathname;
    const paths = ['files', 'wal.db', 'rollback.db'].map((name) => join(directory, 'data', name));
    this.#child = spawn(process.execPath, [script, role, binding, ...paths], { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.#lines.push(line);
      this.#wake();
    });
    this.#child.stdin.on('error', () => undefined);
    this.#exited = new Promise((resolve) => {
      this.#child.once('close', () => {
        this.#alive = false;
        this.#wake();
        resolve();
      });
    });
  }

  async line(): Promise<string> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      if (!this.#alive) throw new Error(`The ${this.name} has ended`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** The first whole round that begins after this call. */
  async round(mark: string): Promise<Round> {
    this.#child.stdin.write(`${mark}\n`);
    const answer = JSON.parse(await this.line()) as Round | { problem: string };
    if ('problem' in answer) throw new Error(`The ${this.name}: ${answer.problem}`);
    expect(answer.mark).toBe(mark);
    return answer;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}

function fill(path: string, journalMode: string, generation: number): void {
  const db = new Database(path);
  try {
    db.pragma(`journal_mode = ${journalMode}`);
    db.exec(`DROP TABLE IF EXISTS state; DROP TABLE IF EXISTS log; DROP TABLE IF EXISTS only_in_2;
      CREATE TABLE state (id INTEGER PRIMARY KEY, generation INTEGER, commits INTEGER, filler TEXT);
      CREATE TABLE log (n INTEGER PRIMARY KEY);`);
    if (generation === 2) db.exec('CREATE TABLE only_in_2 (a)');
    const insert = db.prepare('INSERT INTO state (generation, commits, filler) VALUES (?, 0, ?)');
    for (let i = 0; i < ROWS * generation; i++) insert.run(generation, String(i).repeat(50));
  } finally {
    db.close();
  }
}

async function become(directory: string, generation: number): Promise<void> {
  fill(join(directory, 'data/wal.db'), 'wal', generation);
  fill(join(directory, 'data/rollback.db'), 'delete', generation);
  const files = join(directory, 'data/files');
  await rm(files, { recursive: true, force: true });
  await mkdir(join(files, `only-${generation}`), { recursive: true });
  for (const name of ['a', 'b', `only-${generation}/c`]) {
    await writeFile(join(files, name), String(generation).repeat(BYTES * generation));
  }
}

it(
  `${RESTORES} live restores beside two readers and two writers: each sees the old or the new state, and no error but "busy"`,
  { timeout: 3_600_000 },
  async () => {
    await using temp = await tempDir();
    const directory = temp.path;
    await mkdir(join(directory, 'data'));
    await writeFile(join(directory, 'backup.yaml'), CONFIG);
    const app = await openApplication(directory);
    for (const generation of [1, 2]) {
      await become(directory, generation);
      await app.must({ command: 'create', name: `generation-${generation}`, trigger: 'manual', encryption: false });
    }
    const contenders = [
      new Contender('reader', 'better-sqlite3', directory),
      new Contender('reader', 'sqlite3', directory),
      new Contender('writer', 'better-sqlite3', directory),
      new Contender('writer', 'sqlite3', directory),
    ];
    let rounds: Round[] = [];
    try {
      for (const contender of contenders) expect(await contender.line()).toBe('{"ready":true}');
      for (const contender of contenders) await contender.round('start');
      for (let i = 0; i < RESTORES; i++) {
        const generation = (i % 2) + 1;
        // Now and then with a safety backup, which has to be captured beside the writers too.
        const withoutSafety = i % 20 !== 0;
        const name = `generation-${generation}`;
        const result = await app.must<RestoreResult>({ command: 'restore', name, withoutSafety });
        expect(result.undo !== undefined).toBe(!withoutSafety);
        rounds = await Promise.all(contenders.map((contender) => contender.round(`restore ${i}`)));
        for (const { generations } of rounds) expect(generations, `restore ${i}`).toEqual([generation, generation]);
      }
    } finally {
      for (const contender of contenders) await contender.stop();
    }
    const told = rounds.map(({ rounds: all, busy }, i) => `${contenders[i]?.name ?? ''}: ${all} rounds, ${busy} busy`);
    console.log(told.join('\n'));
    for (const file of ['wal.db', 'rollback.db']) {
      const db = new Database(join(directory, 'data', file));
      expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
      expect(db.prepare('SELECT DISTINCT generation FROM state').pluck().all()).toEqual([2]);
      db.close();
    }
    expect((await readdir(join(directory, 'data'))).sort()).toEqual(['files', 'rollback.db', 'wal.db']);
    expect((await readdir(join(directory, 'data/files'))).sort()).toEqual(['a', 'b', 'only-2']);
    expect(await readdir(join(directory, 'state'))).not.toContain('unfinished-restore.json');
  },
);
