import { createHash } from 'node:crypto';
import type { ComponentDriver, DumpEntry, EntryMeta } from '@foodsave-backup/component';
import { readContent, Repository, type Manifest } from '@foodsave-backup/repository';
import type { StorageBackend } from '@foodsave-backup/storage';
import { systemClock } from '@foodsave-backup/kernel';

/** A file's bytes, or those of a database that is kept by page. */
export type Held = Buffer | { pageSize: number; pages: Buffer };
/** By path. */
export type Holding = Readonly<Record<string, Held>>;

const META: EntryMeta = { mode: 0o644, uid: 0, gid: 0, mtimeNs: 1_700_000_000_000_000_000n };

async function* piecesOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

function* entriesOf(holding: Holding): Generator<DumpEntry> {
  for (const path of Object.keys(holding).sort()) {
    const held = holding[path] ?? Buffer.alloc(0);
    if (Buffer.isBuffer(held)) {
      const open = (): AsyncIterable<Uint8Array> => piecesOf(held);
      yield { path, kind: 'file', meta: META, size: held.length, content: { kind: 'stream', open } };
      continue;
    }
    const { pageSize, pages } = held;
    const read = (first: number, count: number): Promise<Uint8Array> =>
      Promise.resolve(pages.subarray(first * pageSize, (first + count) * pageSize));
    const content = { kind: 'paged' as const, pageSize, pageCount: pages.length / pageSize, read };
    yield { path, kind: 'file', meta: META, size: pages.length, content };
  }
}

/** A component whose data is in memory: what it holds is asked for at each capture. Files that were held before are asked about too. */
export function memoryDriver(holding: () => Holding): ComponentDriver {
  return {
    type: 'custom',
    driver: 'memory',
    open: (instance) => ({
      instance,
      type: 'custom',
      probe: () => Promise.resolve({ bytes: 0, entries: 0, summary: '' }),
      livePaths: () => [],
      openRestore: () => Promise.reject(new Error('it is read through the library')),
      openDump: (run) =>
        Promise.resolve({
          async *entries() {
            for (const entry of entriesOf(holding())) {
              const before = await run.previous(entry.path);
              const same = before?.size === entry.size && entry.content?.kind === 'stream';
              yield same && (await isSame(before.sha256, entry)) ? { ...entry, unchanged: true } : entry;
            }
          },
          facts: () => Promise.resolve({ capturedAt: '' }),
          close: () => Promise.resolve(),
        }),
    }),
  };
}

async function bytesOf(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function isSame(before: Uint8Array | undefined, entry: DumpEntry): Promise<boolean> {
  if (before === undefined || entry.content?.kind !== 'stream') return false;
  return createHash('sha256')
    .update(await bytesOf(entry.content.open()))
    .digest()
    .equals(before);
}

/** Every file of every confirmed backup, by its name and path, as latin1 text. Throws on damage. */
export async function readAll(storage: StorageBackend): Promise<Record<string, Record<string, string>>> {
  const repository = await Repository.open(storage, { clock: systemClock, secret: undefined });
  const found: Record<string, Record<string, string>> = {};
  for (const manifest of (await repository.manifests.list()).manifests) {
    found[manifest.name] = await readBackup(repository, manifest);
  }
  return found;
}

async function readBackup(repository: Repository, manifest: Manifest): Promise<Record<string, string>> {
  const { blobs, trees } = repository.reader(await repository.loadIndex());
  const files: Record<string, string> = {};
  for (const { root } of Object.values(manifest.components)) {
    for await (const { path, entry } of trees.walk(Buffer.from(root ?? '', 'hex'))) {
      if (entry.type !== 'file') continue;
      const content = await bytesOf(readContent(blobs, entry));
      files[path.map(String).join('/')] = content.toString('latin1');
    }
  }
  return files;
}

export function textOf(holding: Holding): Record<string, string> {
  const bytes = Object.entries(holding).map(
    ([path, held]) => [path, Buffer.isBuffer(held) ? held : held.pages] as const,
  );
  return Object.fromEntries(bytes.map(([path, content]) => [path, content.toString('latin1')]));
}
