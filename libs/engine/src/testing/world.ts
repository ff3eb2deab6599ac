import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import type { ComponentDriver } from '@foodsave-backup/component';
import { configDriver } from '@foodsave-backup/components-config';
import { databaseDriver } from '@foodsave-backup/components-database';
import { filesDriver } from '@foodsave-backup/components-files';
import { vectorStoreDrivers } from '@foodsave-backup/components-vector-store';
import { newId, systemClock, type Clock, type RunEvent } from '@foodsave-backup/kernel';
import { createLocalStorage, type StorageBackend } from '@foodsave-backup/storage';
import { tempDir, type TempDir } from '@foodsave-backup/testing';
import { Engine } from '../engine.ts';
import { Run } from '../run.ts';
import type { Command, ComponentSpec, CreateResult, EngineConfig, EngineDeps, KeyProvider, RunView } from '../types.ts';

export type Kind = 'database' | 'files' | 'config' | 'vector_store';

const SPECS: Readonly<Record<Kind, ComponentSpec>> = {
  database: { instance: 'database:main', type: 'database', driver: 'sqlite', config: { path: './data/app.db' } },
  files: {
    instance: 'files',
    type: 'files',
    driver: 'directory',
    config: { include: ['./data/files'], exclude: ['*.tmp'] },
  },
  config: { instance: 'config', type: 'config', driver: 'directory', config: { include: ['./data/config'] } },
  vector_store: {
    instance: 'vector_store',
    type: 'vector_store',
    driver: 'faiss',
    config: { path: './data/vectors' },
  },
};

export const DRIVERS: readonly ComponentDriver[] = [
  databaseDriver,
  filesDriver,
  configDriver,
  ...Object.values(vectorStoreDrivers),
];

export const SECRET = 'a-secret-for-tests-0123456789-abcdefghijkl';

/** A key provider that is told its key, or makes one as a key file would. */
export function keysOf(secret: string | undefined, named = false): KeyProvider {
  let held = secret;
  return {
    load: async () => (held === undefined ? undefined : { secret: held, named }),
    create: async () => {
      held = SECRET;
      return { secret: SECRET, location: '/nowhere/key' };
    },
  };
}

export function specsOf(kinds: readonly Kind[]): ComponentSpec[] {
  return kinds.map((kind) => SPECS[kind]);
}

export interface Overrides {
  storage?: StorageBackend;
  clock?: Clock;
  keys?: KeyProvider;
  config?: Partial<EngineConfig>;
  drivers?: readonly ComponentDriver[];
  freeBytes?: () => Promise<number | undefined>;
}

/** What an engine over the data below `base` is made of. */
export function depsOf(base: string, kinds: readonly Kind[], encryption: boolean, over: Overrides = {}): EngineDeps {
  return {
    config: {
      application: 'test',
      software: 'foodsave-backup 0.0.0',
      baseDir: base,
      stateDir: join(base, 'state'),
      components: specsOf(kinds),
      retention: { daily: 7, weekly: 4, monthly: 12 },
      timeZone: 'UTC',
      verifyAfterCreate: true,
      checksums: true,
      compressionLevel: 1,
      threads: 1,
      limits: {},
      encryption,
      ...over.config,
    },
    storage: over.storage ?? createLocalStorage(join(base, 'backups')),
    ...(over.storage === undefined ? { directory: join(base, 'backups') } : {}),
    clock: over.clock ?? systemClock,
    keys: over.keys ?? keysOf(encryption ? SECRET : undefined),
    drivers: over.drivers ?? DRIVERS,
    env: {},
    recoveryFiles: async () => ({ 'RECOVERY.md': Buffer.from('# How to recover\n') }),
    freeBytes: over.freeBytes ?? (async () => undefined),
  };
}

export interface WorldOptions extends Overrides {
  kinds?: readonly Kind[];
  encryption?: boolean;
}

export type Ended = RunView & { events: RunEvent[] };

/** An application with real data in a directory of its own, and engines over it. */
export class World implements AsyncDisposable {
  readonly path: string;
  readonly engine: Engine;
  readonly #temp: TempDir;
  readonly #options: WorldOptions;

  private constructor(temp: TempDir, options: WorldOptions) {
    this.#temp = temp;
    this.path = temp.path;
    this.#options = options;
    this.engine = this.another();
  }

  static async create(options: WorldOptions = {}): Promise<World> {
    const world = new World(await tempDir('foodsave-engine-'), options);
    for (const kind of world.kinds) await world.#make(kind);
    return world;
  }

  get kinds(): readonly Kind[] {
    return this.#options.kinds ?? ['files'];
  }

  get encrypted(): boolean {
    return this.#options.encryption ?? false;
  }

  /** An engine as another process would make it: same data and repository, nothing remembered. */
  another(over: Overrides = {}): Engine {
    return new Engine(this.deps(over));
  }

  /** What such an engine is made of. */
  deps(over: Overrides = {}): EngineDeps {
    const config = { ...this.#options.config, ...over.config };
    return depsOf(this.path, this.kinds, this.encrypted, { ...this.#options, ...over, config });
  }

  join(...segments: string[]): string {
    return join(this.path, ...segments);
  }

  async run(
    command: Command,
    options: { engine?: Engine; during?: (run: Run, event: RunEvent) => void } = {},
  ): Promise<Ended> {
    const clock = this.#options.clock ?? systemClock;
    const run = new Run(newId(clock), command, clock);
    const engine = options.engine ?? this.engine;
    await run.execute((context) =>
      engine.execute(command, {
        ...context,
        signal: context.signal,
        emit: (body) => {
          context.emit(body);
          options.during?.(run, { ...body, runId: run.id, seq: 0, at: '' });
        },
        progress: (progress) => {
          context.progress(progress);
          options.during?.(run, { type: 'progress', progress, runId: run.id, seq: 0, at: '' });
        },
      }),
    );
    const events: RunEvent[] = [];
    for await (const event of run.events()) events.push(event);
    return { ...(await run.finished), events };
  }

  /** The result of a command that must succeed. */
  async must<T = CreateResult>(command: Command, engine?: Engine): Promise<T> {
    const ended = await this.run(command, engine === undefined ? {} : { engine });
    if (ended.status !== 'succeeded') {
      throw new Error(`${command.command} ${ended.status}: ${JSON.stringify(ended.error ?? ended.result)}`);
    }
    return ended.result as T;
  }

  create(name: string): Promise<CreateResult> {
    return this.must({ command: 'create', name, trigger: 'manual' });
  }

  async write(path: string, content: string | Uint8Array): Promise<void> {
    await mkdir(dirname(this.join(path)), { recursive: true });
    await writeFile(this.join(path), content);
  }

  async remove(path: string): Promise<void> {
    await rm(this.join(path), { recursive: true, force: true });
  }

  /** Carries out SQL in the live database, with a connection of its own. */
  sql(statements: string, path = this.join('data/app.db')): void {
    const db = new Database(path);
    try {
      db.exec(statements);
    } finally {
      db.close();
    }
  }

  rows(path = this.join('data/app.db')): string {
    const db = new Database(path, { readonly: true });
    try {
      if (db.pragma('integrity_check', { simple: true }) !== 'ok') return 'corrupt';
      return JSON.stringify(db.prepare('SELECT id, name FROM items ORDER BY id').raw().all());
    } finally {
      db.close();
    }
  }

  async #make(kind: Kind): Promise<void> {
    if (kind === 'database') {
      await mkdir(this.join('data'), { recursive: true });
      this.sql('PRAGMA journal_mode=WAL; CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT); ');
      this.sql("INSERT INTO items (name) VALUES ('bread'), ('milk'), ('eggs')");
    } else if (kind === 'files') {
      await this.write('data/files/a.txt', 'hello\n');
      await this.write('data/files/sub/b.bin', noise('b', 20_000));
      await this.write('data/files/sub/deep/c.txt', 'deep\n');
      await this.write('data/files/empty', '');
      await this.write('data/files/cache.tmp', 'excluded\n');
      await symlink('a.txt', this.join('data/files/link'));
    } else if (kind === 'config') {
      await this.write('data/config/app.json', '{ "theme": "dark", "pageSize": 20 }\n');
    } else {
      await this.write('data/vectors/index.faiss', flatIndex(16));
      await this.write('data/vectors/index.json', JSON.stringify({ count: 16 }));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine.close();
    await this.#temp.cleanup();
  }
}

/** Gives each kind of component other data. What two names have in common differs only where they differ. */
export async function changeData(world: World, what: string): Promise<void> {
  if (world.kinds.includes('files')) {
    await world.write('data/files/changing.bin', noise(what, 9000));
    await world.write(`data/files/only/${what}.txt`, `${what}\n`);
  }
  if (world.kinds.includes('config')) await world.write('data/config/app.json', JSON.stringify({ what }));
  if (world.kinds.includes('database')) world.sql(`DELETE FROM items; INSERT INTO items (name) VALUES ('${what}')`);
}

/** Bytes that do not compress, the same for the same seed. */
export function noise(seed: string, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0; at < length; at += 32) blocks.push(createHash('sha256').update(`${seed} ${at}`).digest());
  return Buffer.concat(blocks).subarray(0, length);
}

/** An IndexFlatL2 of so many vectors of three numbers, as faiss.write_index writes it. */
function flatIndex(count: number): Buffer {
  const bytes = Buffer.alloc(45 + count * 12);
  bytes.write('IxF2', 'latin1');
  bytes.writeInt32LE(3, 4);
  bytes.writeBigInt64LE(BigInt(count), 8);
  bytes.writeBigInt64LE(1n << 20n, 16);
  bytes.writeBigInt64LE(1n << 20n, 24);
  bytes.writeUInt8(1, 32);
  bytes.writeInt32LE(1, 33);
  bytes.writeBigUInt64LE(BigInt(count * 3), 37);
  for (let i = 0; i < count * 3; i++) bytes.writeFloatLE((i * i) % 101, 45 + i * 4);
  return bytes;
}

/** Every entry below a directory: its content, `-> target` of a link, `/` of a directory. An absent directory has none. */
export async function treeOf(directory: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(directory.length + 1);
    if (entry.isDirectory()) found[name] = '/';
    else if (entry.isSymbolicLink()) found[name] = `-> ${await readlink(path)}`;
    else found[name] = (await readFile(path)).toString('latin1');
  }
  return Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)));
}
