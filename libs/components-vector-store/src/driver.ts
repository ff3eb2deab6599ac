import { lstat } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  ConfigReader,
  defineComponent,
  fileSwaps,
  fsPath,
  layoutPath,
  openFsRestore,
  settled,
  TreeWalk,
  type Component,
  type ComponentContext,
  type ComponentDriver,
  type Dump,
  type DumpRun,
  type ProbeResult,
  type RestoreRun,
  type RestoreSink,
} from '@foodsave-backup/component';
import { BackupError, newId, printable } from '@foodsave-backup/kernel';
import { CheckedRestore } from './checked-restore.ts';
import { StoreDump } from './dump.ts';
import { inspectFaissStore } from './facts.ts';
import type { FileReader } from './reader.ts';
import { sidecarNames } from './sidecar.ts';
import type { StoreView } from './snapshot.ts';

export interface VectorStoreConfig {
  /** Directory of the store, or its index file; absolute or relative to the directory of the configuration file. */
  path: string;
  /** JSON file that belongs to the index, where its name does not tell. */
  sidecar?: string;
  /** Kept as a fact, so that a restored index is queried with the right model. */
  embeddingModel?: string;
}

const EXAMPLES = {
  path: './data/vector_store',
  sidecar: './data/vector_store/ids.json',
  embeddingModel: 'all-MiniLM-L6-v2',
};

export function parseVectorStoreConfig(
  instance: string,
  value: unknown,
  driver: 'faiss' | 'directory',
): VectorStoreConfig {
  const { sidecar: _sidecar, ...withoutSidecar } = EXAMPLES;
  const reader = new ConfigReader(instance, value, driver === 'faiss' ? EXAMPLES : withoutSidecar);
  const config: VectorStoreConfig = { path: reader.requiredString('path') };
  const sidecar = driver === 'faiss' ? reader.string('sidecar') : undefined;
  const embeddingModel = reader.string('embeddingModel');
  if (sidecar !== undefined) config.sidecar = sidecar;
  if (embeddingModel !== undefined) config.embeddingModel = embeddingModel;
  return config;
}

function driverOf(driver: 'faiss' | 'directory'): ComponentDriver {
  return defineComponent<VectorStoreConfig>({
    type: 'vector_store',
    driver,
    config: (instance, value) => parseVectorStoreConfig(instance, value, driver),
    open: (instance, config, context) => new VectorStoreComponent(instance, driver, config, context),
  });
}

/** By the value of `driver`: `faiss` (index and sidecar, checked), `directory` (any store made of files, in one quiet moment). */
export const vectorStoreDrivers: Readonly<Record<'faiss' | 'directory', ComponentDriver>> = {
  faiss: driverOf('faiss'),
  directory: driverOf('directory'),
};

class VectorStoreComponent implements Component {
  readonly type = 'vector_store';
  readonly swaps = fileSwaps;
  readonly instance: string;
  private readonly driver: 'faiss' | 'directory';
  private readonly config: VectorStoreConfig;
  private readonly context: ComponentContext;
  private readonly path: string;
  private readonly sidecar: string | undefined;

  constructor(instance: string, driver: 'faiss' | 'directory', config: VectorStoreConfig, context: ComponentContext) {
    this.instance = instance;
    this.driver = driver;
    this.config = config;
    this.context = context;
    this.path = resolve(context.baseDir, config.path);
    this.sidecar = config.sidecar === undefined ? undefined : resolve(context.baseDir, config.sidecar);
  }

  livePaths(): readonly string[] {
    return this.sidecar === undefined ? [this.path] : [this.path, this.sidecar];
  }

  /** The path and, for a single index file, what belongs to it by name. `present`: only what is there. */
  private async roots(present: boolean): Promise<string[]> {
    const roots = [...this.livePaths()];
    const stats = await lstat(fsPath(this.path)).catch(() => undefined);
    if (this.driver !== 'faiss' || stats?.isDirectory()) return roots;
    for (const name of sidecarNames(this.path)) {
      if (!present || (await lstat(fsPath(name)).catch(() => undefined))?.isFile()) roots.push(name);
    }
    return roots;
  }

  async probe(signal = new AbortController().signal): Promise<ProbeResult> {
    const roots = await this.roots(true);
    const options = {
      baseDir: this.context.baseDir,
      roots,
      signal,
      warn: () => undefined,
    };
    const walk = new TreeWalk({ ...options, content: false, startedNs: 0n });
    let entries = 0;
    for await (const entry of walk.entries()) entries += entry.path === '' ? 0 : 1;
    if (walk.stats.files === 0) throw this.empty();
    return { bytes: walk.stats.bytes, entries, summary: `${this.driver}, ${walk.stats.files} files` };
  }

  async openDump(run: DumpRun): Promise<Dump> {
    const { baseDir, clock, scratchDir } = this.context;
    const startedNs = BigInt(Math.trunc(clock.now())) * 1_000_000n;
    const roots = await this.roots(true);
    return new StoreDump({
      run,
      clock,
      directory: `${scratchDir}/vector-store-${newId(clock)}`,
      walk: { baseDir, roots, signal: run.signal },
      settle: (meta) => settled(meta, startedNs),
      settings: JSON.stringify([this.driver, this.config]),
      inspect: (store) => this.inspect(store, run.signal),
    });
  }

  private async inspect(store: StoreView, signal: AbortSignal): Promise<Record<string, unknown>> {
    const { embeddingModel } = this.config;
    const model = embeddingModel === undefined ? undefined : printable(embeddingModel);
    if (store.stats.files === 0) throw this.empty();
    if (this.driver === 'directory') return { engine: 'directory', embeddingModel: model ?? null };
    const files = store.entries.filter((entry) => entry.kind === 'file');
    const readers = new Map<string, FileReader>();
    for (const { path } of files) {
      const reader = await store.reader(path);
      if (reader) readers.set(path, reader);
    }
    const sidecar = this.sidecar === undefined ? {} : { sidecar: layoutPath(this.context.baseDir, this.sidecar) };
    return {
      ...(await inspectFaissStore(files, (path) => readers.get(path), {
        signal,
        ...sidecar,
        ...(model === undefined ? {} : { embeddingModel: model }),
      })),
    };
  }

  private empty(): BackupError {
    return new BackupError('SOURCE_MISSING', `The vector store "${printable(this.path)}" is empty`, {
      hint: 'Correct "path", or remove the component. A missing source is never an empty success.',
    });
  }

  async openRestore(run: RestoreRun): Promise<RestoreSink> {
    const { clock, baseDir } = this.context;
    const sink = await openFsRestore({ run, clock, baseDir, roots: await this.roots(false) });
    const { destination } = run;
    // A part of a store is only files; of a whole one the indexes are opened.
    if (destination.kind !== 'target' || run.paths !== undefined) return sink;
    return new CheckedRestore(sink, destination.directory, run);
  }
}
