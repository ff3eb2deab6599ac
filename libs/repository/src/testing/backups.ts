import { createCipheriv } from 'node:crypto';
import { Readable } from 'node:stream';
import { isHole, newId, type Piece } from '@foodsave-backup/kernel';
import { MemoryStorage, type StorageBackend } from '@foodsave-backup/storage';
import { SimulatedClock } from '@foodsave-backup/testing';
import {
  BackupSession,
  readContent,
  Repository,
  secureBackup,
  type ComponentTotals,
  type ComponentWriter,
  type FileEntry,
  type Manifest,
  type PageSource,
  type TreeMeta,
} from '../index.ts';

export const SECRET = `fsbk1-${'a'.repeat(52)}`;
export const RECOVERY = { 'RECOVERY.md': Buffer.from('# How to restore\n'), 'recover.mjs': Buffer.from('// reader\n') };

/** A file with what files on a real disk have. */
export interface RealFile {
  pieces: readonly Piece[];
  /** Equal for all names of one file. */
  name?: string;
  xattrs?: Readonly<Record<string, Buffer>>;
  /** Hashed by blocks, as files with long holes are. */
  byBlocks?: boolean;
}

/** A file's bytes; a file that has more than bytes; a database file kept by page; a symbolic link; an empty directory; a FIFO. */
export type Content = Buffer | RealFile | { pageSize: number; pages: Buffer } | { link: string } | 'directory' | 'fifo';
/** By path, names joined by `/`, as latin1 text, so that any byte can stand in a name. */
export type Files = Readonly<Record<string, Content>>;

export const makeClock = (): SimulatedClock => new SimulatedClock({ autoAdvance: true });

export async function makeRepository(
  options: { storage?: StorageBackend; secret?: string | undefined } = {},
): Promise<Repository> {
  return Repository.init(options.storage ?? new MemoryStorage(), {
    clock: makeClock(),
    secret: options.secret,
    keyLabel: 'test',
    recoveryFiles: RECOVERY,
  });
}

/** Opens what is there, or makes a repository where there is none, as a run does. */
export async function openOrMake(storage: StorageBackend): Promise<Repository> {
  if ((await Repository.probe(storage)) === 'empty') return makeRepository({ storage });
  const repository = await Repository.open(storage, { clock: makeClock(), secret: undefined });
  await repository.renewRecovery(RECOVERY);
  return repository;
}

/** The same pseudo-random bytes in every run: AES-CTR of zeros. */
export function noise(length: number, seed = 1): Buffer {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16)).update(Buffer.alloc(length));
}

const META: TreeMeta = { mode: 0o644, mtimeNs: 1_700_000_000_000_000_001n, uid: 10, gid: 20 };

const segmentsOf = (path: string): Buffer[] => path.split('/').map((name) => Buffer.from(name, 'latin1'));

function comparePaths(a: readonly Buffer[], b: readonly Buffer[]): number {
  for (const [i, name] of a.entries()) {
    const other = b[i];
    if (other === undefined) return 1;
    const order = Buffer.compare(name, other);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

async function* pieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_537) {
    await Promise.resolve();
    yield bytes.subarray(at, at + 65_537);
  }
}

function pageSource({ pageSize, pages }: { pageSize: number; pages: Buffer }): PageSource {
  const read = (first: number, count: number): Promise<Uint8Array> =>
    Promise.resolve(pages.subarray(first * pageSize, (first + count) * pageSize));
  return { pageSize, pageCount: pages.length / pageSize, read };
}

/** The bytes of a file, zeros in place of holes. */
export function bytesIn(content: Exclude<Content, string | { link: string }>): Buffer {
  if (Buffer.isBuffer(content)) return content;
  if ('pages' in content) return content.pages;
  return Buffer.concat(content.pieces.map((piece) => (isHole(piece) ? Buffer.alloc(piece.hole) : piece)));
}

async function captureReal(writer: ComponentWriter, path: Buffer[], file: RealFile, files: Files): Promise<void> {
  const { pieces: parts, name, xattrs, byBlocks = false } = file;
  const names = Object.values(files).filter(
    (other) => typeof other === 'object' && 'name' in other && other.name === name,
  );
  const how = name === undefined ? { byBlocks } : { byBlocks, name: { link: Buffer.from(name), names: names.length } };
  if ('name' in how && writer.addAgain(path, how.name) !== undefined) return;
  const list = Object.entries(xattrs ?? {}).map(([key, value]) => ({ name: Buffer.from(key), value }));
  const meta = xattrs === undefined ? META : { ...META, xattrs: list };
  await writer.addStream(
    path,
    Readable.from(parts),
    () => Promise.resolve({ meta, changed: false }),
    () => undefined,
    how,
  );
}

/** Adds everything, in the order that a component's walk has. Returns how many pages changed. */
async function capture(writer: ComponentWriter, files: Files): Promise<number> {
  let changedPages = 0;
  const sorted = Object.entries(files)
    .map(([path, content]) => ({ path: segmentsOf(path), content }))
    .sort((a, b) => comparePaths(a.path, b.path));
  for (const { path, content } of sorted) {
    if (content === 'directory') writer.addDirectory(path, { ...META, mode: 0o700 });
    else if (content === 'fifo') writer.addFifo(path, META);
    else if (Buffer.isBuffer(content)) {
      const before = await writer.previous(path);
      // The file is looked at once more after it was read, which takes a turn of the event loop.
      const finish = () =>
        new Promise<{ meta: TreeMeta; changed: boolean }>((resolve) =>
          setImmediate(resolve, { meta: META, changed: false }),
        );
      await writer.addStream(path, pieces(content), finish, () => undefined, before === undefined ? {} : { before });
    } else if ('pieces' in content) await captureReal(writer, path, content, files);
    else if ('link' in content) writer.addLink(path, META, Buffer.from(content.link));
    else changedPages += (await writer.addPaged(path, META, pageSource(content), () => undefined)).changedPages;
  }
  return changedPages;
}

export interface Made {
  manifest: Manifest;
  totals: ComponentTotals;
  changedPages: number;
  missing: readonly string[];
  /** Id of the root node, hexadecimal. */
  root: string;
}

/** One backup as the engine makes it: capture, packs, read-back, index, manifest, confirmation. */
export async function backUp(
  repository: Repository,
  name: string,
  files: Files,
  options: { type?: string; previous?: string } = {},
): Promise<Made> {
  await repository.clock.sleep(1000);
  const at = new Date(repository.clock.now()).toISOString();
  const { manifests } = await repository.manifests.list();
  const previous = options.previous ?? manifests[0]?.components['main']?.root;
  const session = await BackupSession.start(repository, { level: 3 });
  const type = options.type ?? 'files';
  const writer = session.component(type, previous === undefined ? undefined : Buffer.from(previous, 'hex'));
  const changedPages = await capture(writer, files);
  const root = (await writer.finish()).toString('hex');
  await session.finishPacks();
  await session.readBack(() => undefined);
  await session.writeIndex();
  const totals = writer.totals();
  const manifest: Manifest = {
    ...{ repositoryId: repository.info.id, name, id: newId(repository.clock), createdAt: at, finishedAt: at },
    ...{ files: totals.files, sizeBytes: totals.sizeBytes, storedBytes: totals.storedBytes, folders: [] },
    ...{
      status: 'complete',
      durationMs: 0,
      trigger: 'manual',
      tags: [],
      application: 'test',
      software: 'test',
      captureSkewMs: 0,
    },
    components: { main: { type, driver: 'test', status: 'complete', ...totals, capturedAt: at, root, facts: {} } },
  };
  const bytes = await repository.manifests.publish(manifest);
  const { lost } = await secureBackup(repository, manifest, { relied: session.relied() });
  if (lost.length > 0) throw new Error(`lost ${lost.join()} before it was confirmed`);
  await repository.manifests.confirm(name, bytes);
  return { manifest, totals, changedPages, missing: session.missing, root };
}

/** Everything below a backup's root: contents of files, targets of links, directories. Throws on damage. */
export async function restore(repository: Repository, name: string): Promise<Record<string, Content>> {
  const manifest = await repository.manifests.get(name);
  const { blobs, trees } = repository.reader(await repository.loadIndex());
  const found: Record<string, Content> = {};
  const root = manifest.components['main']?.root ?? '';
  for await (const { path, entry } of trees.walk(Buffer.from(root, 'hex'))) {
    const key = Buffer.concat(path.flatMap((part, i) => (i === 0 ? [part] : [Buffer.from('/'), part]))).toString(
      'latin1',
    );
    if (entry.type === 'symlink') found[key] = { link: entry.target.toString() };
    else if (entry.type === 'directory') found[key] = 'directory';
    else if (entry.type === 'fifo') found[key] = 'fifo';
    else {
      const parts: Uint8Array[] = [];
      for await (const part of readContent(blobs, entry)) parts.push(part);
      const bytes = Buffer.concat(parts);
      found[key] = entry.pageSize === undefined ? bytes : { pageSize: entry.pageSize, pages: bytes };
    }
  }
  return found;
}

/** Paths at which what a backup restores differs from `files`; empty when it is the same byte for byte. Throws on damage. */
export async function differences(repository: Repository, name: string, files: Files): Promise<string[]> {
  const found = await restore(repository, name);
  const expected = expanded(files);
  const paths = new Set([...Object.keys(found), ...Object.keys(expected)]);
  return [...paths].filter((path) => !isSame(found[path], expected[path]));
}

function isSame(a: Content | undefined, b: Content | undefined): boolean {
  if (a === undefined || b === undefined || typeof a === 'string' || typeof b === 'string') return a === b;
  if (Buffer.isBuffer(a)) return (Buffer.isBuffer(b) || 'pieces' in b) && a.equals(bytesIn(b));
  if (Buffer.isBuffer(b)) return false;
  if ('link' in a) return 'link' in b && a.link === b.link;
  if ('pages' in a) return 'pages' in b && a.pageSize === b.pageSize && a.pages.equals(b.pages);
  return 'pieces' in b && bytesIn(a).equals(bytesIn(b));
}

/** `files` with the directories that their paths imply. */
function expanded(files: Files): Record<string, Content> {
  const all: Record<string, Content> = {};
  for (const path of Object.keys(files)) {
    const names = path.split('/');
    for (let i = 1; i < names.length; i++) all[names.slice(0, i).join('/')] = 'directory';
  }
  return { ...all, ...files };
}

/** What the first step of every run does with a manifest that lacks its second copy. */
export async function settle(repository: Repository): Promise<void> {
  const { unconfirmed, repairable } = await repository.manifests.list();
  for (const { name } of repairable) await repository.manifests.restoreFirst(name);
  for (const manifest of unconfirmed) {
    const { lost } = await secureBackup(repository, manifest);
    if (lost.length === 0) await repository.manifests.confirm(manifest.name);
    else await repository.manifests.delete(manifest.name);
  }
}

export async function keysOf(storage: StorageBackend, ...prefixes: string[]): Promise<string[]> {
  const all = [
    '',
    'keys/',
    'database/',
    'files/',
    'config/',
    'vector_store/',
    'custom/',
    'meta/',
    'index/',
    'manifests/',
    'notes/',
    'locks/',
  ];
  const found: string[] = [];
  for (const prefix of prefixes.length > 0 ? prefixes : all) {
    for await (const { key } of storage.list(prefix)) found.push(key);
  }
  return found.sort();
}

export async function fileEntry(repository: Repository, name: string, path: string): Promise<FileEntry> {
  const manifest = await repository.manifests.get(name);
  const { trees } = repository.reader(await repository.loadIndex());
  const entry = await trees.find(Buffer.from(manifest.components['main']?.root ?? '', 'hex'), segmentsOf(path));
  if (entry?.type !== 'file') throw new Error(`${path} is no file of ${name}`);
  return entry;
}
