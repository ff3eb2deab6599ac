import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import {
  SourceMoved,
  type Component,
  type ComponentFacts,
  type ComponentWarning,
  type Dump,
  type DumpEntry,
  type DumpRun,
  type RestoreEntry,
  type RestoreRun,
} from '@foodsave-backup/component';
import { systemClock, type Clock } from '@foodsave-backup/kernel';
import { createDatabaseDriver } from '../driver.ts';
import type { BindingName } from '../child/binding.ts';
import type { DatabaseConfig } from '../config.ts';

export const BINDINGS: readonly BindingName[] = ['sqlite3', 'better-sqlite3'];

/** A directory with an application's data and a scratch directory, and everything that was started in it. */
export class Sandbox {
  readonly root: string;
  readonly scratchDir: string;
  private readonly processes: Writer[] = [];

  private constructor(root: string) {
    this.root = root;
    this.scratchDir = join(root, 'scratch');
  }

  static async create(): Promise<Sandbox> {
    const sandbox = new Sandbox(await mkdtemp(join(tmpdir(), 'fsb-database-')));
    await mkdir(sandbox.scratchDir, { mode: 0o700 });
    await mkdir(join(sandbox.root, 'data'));
    return sandbox;
  }

  get database(): string {
    return join(this.root, 'data/app.db');
  }

  component(
    binding: BindingName = 'sqlite3',
    config: Partial<DatabaseConfig> = {},
    clock: Clock = systemClock,
  ): Component {
    return createDatabaseDriver({ binding }).open(
      'database:main',
      { driver: 'sqlite', path: './data/app.db', ...config },
      { baseDir: this.root, scratchDir: this.scratchDir, clock, env: {}, encrypted: true },
    );
  }

  /** Starts a process that uses the database, see writer.ts. */
  writer(mode: 'steadily' | 'hold', argument: string, file = this.database): Writer {
    const writer = new Writer([file, mode, argument]);
    this.processes.push(writer);
    return writer;
  }

  async remove(): Promise<void> {
    for (const writer of this.processes) await writer.kill();
    await rm(this.root, { recursive: true, force: true });
  }
}

export class Writer {
  private readonly process: ChildProcess;
  readonly lines: string[] = [];
  private readonly waiting: (() => void)[] = [];
  private readonly exited: Promise<unknown>;

  constructor(args: string[]) {
    const script = fileURLToPath(new URL('./writer.ts', import.meta.url));
    this.process = spawn(process.execPath, [script, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.exited = once(this.process, 'exit');
    if (this.process.stdout !== null) {
      createInterface({ input: this.process.stdout }).on('line', (line) => {
        this.lines.push(line);
        for (const wake of this.waiting.splice(0)) wake();
      });
    }
  }

  get pid(): number {
    return this.process.pid ?? -1;
  }

  /** Resolves with the first line at or after `from` that begins with `start`. */
  async line(start: string, from = 0): Promise<string> {
    for (;;) {
      const found = this.lines.slice(from).find((line) => line.startsWith(start));
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  /** Runs a query in a process that holds the database. */
  async query(sql: string): Promise<unknown> {
    const from = this.lines.length;
    this.process.stdin?.write(sql);
    return JSON.parse(await this.line('[', from)) as unknown;
  }

  /** Number of the newest acknowledged transaction. */
  committed(): number {
    const line = this.lines.findLast((text) => text.startsWith('committed '));
    return line === undefined ? 0 : Number(line.slice('committed '.length));
  }

  errors(): string[] {
    return this.lines.filter((line) => line.startsWith('error'));
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.exited;
  }
}

export interface Captured {
  entry: DumpEntry;
  bytes: Buffer;
  facts: ComponentFacts;
  warnings: ComponentWarning[];
}

/** The one that copies, unless another `attempt` is asked for. */
export function dumpRun(
  warnings: ComponentWarning[] = [],
  { signal = new AbortController().signal, attempt = 2 }: { signal?: AbortSignal; attempt?: number } = {},
): DumpRun {
  return { signal, attempt, warn: (warning) => warnings.push(warning), previous: () => undefined };
}

/** A whole backup of a component, as the engine would make it, from its `attempt` on. */
export async function capture(component: Component, attempt = 1): Promise<Captured> {
  const warnings: ComponentWarning[] = [];
  const dump = await component.openDump(dumpRun(warnings, { attempt }));
  try {
    return { ...(await readDump(dump)), warnings };
  } catch (error) {
    if (!(error instanceof SourceMoved) || attempt !== 1) throw error;
    return await capture(component, 2);
  } finally {
    await dump.close();
  }
}

export async function readDump(dump: Dump): Promise<Omit<Captured, 'warnings'>> {
  const found: { entry: DumpEntry; bytes: Buffer }[] = [];
  for await (const entry of dump.entries()) {
    // The directories on the way to the database come first.
    if (entry.kind === 'file') found.push({ entry, bytes: await readContent(entry) });
  }
  const [first] = found;
  if (first === undefined || found.length !== 1) throw new Error(`expected one entry, got ${String(found.length)}`);
  return { ...first, facts: await dump.facts() };
}

async function readContent({ content }: DumpEntry): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  if (content?.kind === 'stream') {
    for await (const piece of content.open()) pieces.push(Buffer.from(piece));
  } else if (content?.kind === 'paged') {
    const atOnce = Math.floor((4 << 20) / content.pageSize);
    for (let first = 0; first < content.pageCount; first += atOnce) {
      pieces.push(Buffer.from(await content.read(first, Math.min(atOnce, content.pageCount - first))));
    }
  }
  return Buffer.concat(pieces);
}

export function restoreEntry({ entry, bytes }: Pick<Captured, 'entry' | 'bytes'>): RestoreEntry {
  return {
    path: entry.path,
    kind: 'file',
    meta: entry.meta,
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest(),
    async *content() {
      await Promise.resolve();
      for (let offset = 0; offset < bytes.length; offset += 65_536) yield bytes.subarray(offset, offset + 65_536);
    },
  };
}

export function restoreRun(
  destination: RestoreRun['destination'],
  facts: ComponentFacts,
  more: Partial<RestoreRun> = {},
): RestoreRun {
  return { signal: new AbortController().signal, warn: () => undefined, destination, facts, dryRun: false, ...more };
}

/** Restores into the place that the component owns; resolves to the notes of the commit. */
export async function restoreLive(component: Component, captured: Captured): Promise<string[]> {
  const sink = await component.openRestore(restoreRun({ kind: 'live' }, captured.facts));
  try {
    await sink.write(restoreEntry(captured));
    return (await sink.commit()).notes;
  } finally {
    await sink.close();
  }
}

/** Opens captured bytes with another SQLite than the one that captured them. */
export function inMemory(bytes: Buffer): Database.Database {
  // A serialized database cannot have a log.
  const copy = Buffer.from(bytes);
  copy[18] = copy[19] = 1;
  return new Database(copy);
}

export function query(file: string, sql: string): unknown[] {
  const database = new Database(file);
  try {
    return database.prepare(sql).all();
  } finally {
    database.close();
  }
}

export async function sha256(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}
