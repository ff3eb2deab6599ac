import type { DumpEntry } from '@foodsave-backup/component';
import { BackupError, printable } from '@foodsave-backup/kernel';
import { JsonOutline, type Outline } from './json-outline.ts';
import type { BytesReader } from './reader.ts';

/** Larger sidecars are kept, but not looked into: that would take minutes. Bytes. */
const MAX_SIDECAR = 4 * 1024 * 1024 * 1024;

const PIECE_BYTES = 1024 * 1024;

export interface SidecarFacts {
  path: string;
  /** Entries that it names; null when it cannot be told without executing it (pickle) or it is too large. */
  count: number | null;
}

export interface Sidecar extends SidecarFacts {
  embeddingModel?: string;
}

function stemOf(path: string): string {
  const slash = path.lastIndexOf('/') + 1;
  const dot = path.lastIndexOf('.');
  return dot > slash ? path.slice(0, dot) : path;
}

/** The possible sidecars of an index by name: `index.json`, `index.faiss.json`, `index.meta.json`, then pickles. */
export function sidecarNames(index: string): string[] {
  const stem = stemOf(index);
  return [
    `${index}.json`,
    `${stem}.json`,
    `${stem}.meta.json`,
    `${stem}_meta.json`,
    `${stem}.metadata.json`,
    `${stem}.pkl`,
    `${index}.pkl`,
  ];
}

/**
 * The sidecar of an index: the one that was configured, else one by its name, else the only JSON file beside a lone index
 * that counts something. Null: none.
 */
export async function findSidecar(
  index: string,
  lone: boolean,
  configured: string | undefined,
  files: readonly DumpEntry[],
  open: (path: string) => BytesReader | undefined,
): Promise<Sidecar | null> {
  if (configured !== undefined) {
    const reader = open(configured);
    if (!reader)
      throw new BackupError('SOURCE_MISSING', `The sidecar "${printable(configured)}" does not exist`, {
        hint: 'Correct "sidecar" in the configuration, or write the file.',
      });
    return await readSidecar(configured, reader, true);
  }
  for (const path of sidecarNames(index)) {
    const reader = open(path);
    if (!reader) continue;
    return path.endsWith('.pkl') ? { path, count: null } : await readSidecar(path, reader, true);
  }
  if (!lone) return null;
  const directory = index.slice(0, index.lastIndexOf('/') + 1);
  for (const { path } of files) {
    const beside = path.startsWith(directory) && !path.slice(directory.length).includes('/');
    const reader = beside && path.endsWith('.json') ? open(path) : undefined;
    const found = reader ? await readSidecar(path, reader, false) : null;
    if (found?.count !== null && found) return found;
  }
  const pickle = files.find(({ path }) => path.startsWith(directory) && path.endsWith('.pkl'));
  return pickle ? { path: pickle.path, count: null } : null;
}

async function readSidecar(path: string, reader: BytesReader, required: boolean): Promise<Sidecar | null> {
  if (reader.size > MAX_SIDECAR) return { path, count: null };
  let outline: Outline;
  try {
    const reading = new JsonOutline();
    const piece = Buffer.allocUnsafeSlow(Math.min(reader.size, PIECE_BYTES));
    for (let at = 0; at < reader.size; at += PIECE_BYTES)
      reading.push(await reader.read(at, Math.min(PIECE_BYTES, reader.size - at), piece));
    outline = reading.finish();
  } catch (error) {
    if (!required) return null;
    throw new BackupError('SOURCE_CORRUPT', `The sidecar "${printable(path)}" is not JSON`, {
      hint: 'Write it to a temporary name and rename it, so that nobody sees half of it.',
      cause: error,
    });
  }
  const model = embeddingModelOf(outline);
  return { path, count: countOf(outline), ...(model === undefined ? {} : { embeddingModel: model }) };
}

/** `count`, or the length of the first list that stands for the vectors, or of the value itself. */
function countOf(outline: Outline): number | null {
  if (outline.kind === 'array') return outline.length;
  if (outline.kind !== 'object') return null;
  for (const key of ['count', 'ntotal', 'size', 'total']) {
    const member = outline.members.get(key);
    if (member?.kind === 'number' && Number.isSafeInteger(member.value) && member.value >= 0) return member.value;
  }
  for (const key of ['ids', 'documents', 'chunks', 'texts', 'metadatas', 'items', 'index_to_docstore_id']) {
    const member = outline.members.get(key);
    if (member?.kind === 'array' || member?.kind === 'object') return member.length;
  }
  return null;
}

function embeddingModelOf(outline: Outline): string | undefined {
  if (outline.kind !== 'object') return undefined;
  for (const key of ['embeddingModel', 'embedding_model', 'model', 'model_name', 'modelName']) {
    const member = outline.members.get(key);
    if (member?.kind === 'string' && member.value !== undefined && member.value !== '') return printable(member.value);
  }
  return undefined;
}
