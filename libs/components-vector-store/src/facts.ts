import type { ComponentFacts, DumpEntry } from '@foodsave-backup/component';
import { BackupError, printable } from '@foodsave-backup/kernel';
import { inspectFaiss, looksLikeFaiss, type FaissFacts } from './faiss.ts';
import type { BytesReader } from './reader.ts';
import { findSidecar, type SidecarFacts } from './sidecar.ts';

export interface IndexFacts extends FaissFacts {
  /** Layout path. */
  path: string;
  sidecar: SidecarFacts | null;
}

export interface FaissStoreFacts {
  engine: 'faiss';
  indexes: IndexFacts[];
  /** Of all indexes together. */
  vectors: number;
  /** Of the first index, as the next ones. */
  dimension: number;
  metric: string;
  sidecar: SidecarFacts | null;
  nearestNeighbours: FaissFacts['nearestNeighbours'];
  /** Null where neither the configuration nor a sidecar names it. */
  embeddingModel: string | null;
}

export interface FaissStoreOptions {
  /** Layout path. */
  sidecar?: string;
  embeddingModel?: string;
  signal?: AbortSignal;
}

/**
 * Finds the indexes among files and checks each with its sidecar. SOURCE_MISSING when there is none; SOURCE_CORRUPT when one
 * does not parse or its sidecar disagrees.
 */
export async function inspectFaissStore(
  files: readonly DumpEntry[],
  open: (path: string) => BytesReader | undefined,
  options: FaissStoreOptions,
): Promise<FaissStoreFacts> {
  const paths: string[] = [];
  for (const { path } of files) {
    const reader = open(path);
    const named = /\.(faiss|index)$/i.test(path);
    if (reader && (named || (!/\.(json|pkl)$/i.test(path) && (await looksLikeFaiss(reader))))) paths.push(path);
  }
  const indexes: IndexFacts[] = [];
  let embeddingModel = options.embeddingModel ?? null;
  for (const path of paths) {
    const reader = open(path);
    if (!reader) continue;
    const facts = await inspectFaiss(reader, options.signal).catch((error: unknown) => {
      throw named(path, error);
    });
    const sidecar = await findSidecar(path, paths.length === 1, options.sidecar, files, open);
    if (sidecar && sidecar.count !== null && sidecar.count !== facts.vectors) {
      throw new BackupError(
        'SOURCE_CORRUPT',
        `"${printable(sidecar.path)}" counts ${sidecar.count}, but the index has ${facts.vectors} vectors`,
        {
          hint: 'Index and sidecar belong to different moments. Let the writer finish, or build the index again.',
        },
      );
    }
    embeddingModel ??= sidecar?.embeddingModel ?? null;
    indexes.push({ ...facts, path, sidecar: sidecar && { path: sidecar.path, count: sidecar.count } });
  }
  const [first] = indexes;
  if (!first) {
    throw new BackupError('SOURCE_MISSING', 'There is no FAISS index in the vector store', {
      hint: 'Correct "path", or use the driver "directory" for a store that is not FAISS.',
    });
  }
  const vectors = indexes.reduce((sum, index) => sum + index.vectors, 0);
  const { dimension, metric, sidecar, nearestNeighbours } = first;
  return { engine: 'faiss', indexes, vectors, dimension, metric, sidecar, nearestNeighbours, embeddingModel };
}

function named(path: string, error: unknown): unknown {
  if (!(error instanceof BackupError) || error.code !== 'SOURCE_CORRUPT') return error;
  return new BackupError('SOURCE_CORRUPT', `"${printable(path)}": ${error.message}`, {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

export interface FactsCheck {
  ok: boolean;
  /** What differs, for people. */
  differences: string[];
  /** Indexes that were read. */
  checked: number;
}

/**
 * Reads the indexes of a stored or restored vector store again and compares them with the facts of its backup. `open` gives the
 * bytes at a layout path. Facts of a store that is not FAISS have nothing to compare: `checked` is then 0.
 */
export async function verifyFacts(
  open: (path: string) => Promise<BytesReader | undefined>,
  facts: ComponentFacts,
  signal?: AbortSignal,
): Promise<FactsCheck> {
  const list: unknown = facts['indexes'];
  const differences: string[] = [];
  let checked = 0;
  for (const item of Array.isArray(list) ? (list as unknown[]) : []) {
    const expected = (typeof item === 'object' && item !== null ? item : {}) as Partial<IndexFacts>;
    const { path } = expected;
    if (typeof path !== 'string') continue;
    const reader = await open(path);
    if (!reader) {
      differences.push(`${printable(path)} is missing`);
      continue;
    }
    checked++;
    try {
      const actual = await inspectFaiss(reader, signal);
      for (const key of ['kind', 'vectors', 'dimension', 'metric', 'nearestNeighbours'] as const) {
        if (JSON.stringify(actual[key]) !== JSON.stringify(expected[key]))
          differences.push(`${printable(path)}: ${key} differs from the backup's`);
      }
    } catch (error) {
      if (!(error instanceof BackupError) || error.code !== 'SOURCE_CORRUPT') throw error;
      differences.push(`${printable(path)}: ${error.message}`);
    }
  }
  return { ok: differences.length === 0, differences, checked };
}
