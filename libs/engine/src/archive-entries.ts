import { compareLayoutPaths, decodeName } from '@foodsave-backup/component';
import { isHole, WholeHash } from '@foodsave-backup/kernel';
import type { EntryRecord, RecordMeta, SourceEntry } from '@foodsave-backup/archive';
import { readContent, readPieces, type FileEntry, type Manifest, type TreeEntry } from '@foodsave-backup/repository';
import { encodeMeta } from './archive-meta.ts';
import { namesToPath, wanted } from './names-path.ts';
import type { Source } from './restore-entries.ts';

interface Walked {
  path: string;
  entry: TreeEntry;
}

/** What of a component is asked for, in the order of a dump; places on the way to it are left out. */
async function* walkWanted(
  source: Source,
  tree: Buffer,
  paths: readonly string[] | undefined,
  parents: readonly Buffer[] = [],
): AsyncGenerator<Walked, void, undefined> {
  for await (const entry of source.trees.entries(tree)) {
    const names = [...parents, entry.name];
    const path = namesToPath(names);
    const want = wanted(path, paths);
    if (want === 'no') continue;
    const implied = entry.type === 'directory' && entry.implied === true;
    if (want === 'yes' && !implied) yield { path, entry };
    if (entry.type === 'directory') yield* walkWanted(source, entry.tree, want === 'yes' ? undefined : paths, names);
  }
}

interface Cursor {
  instance: string;
  walk: AsyncGenerator<Walked, void, undefined>;
  head: Walked | undefined;
}

/**
 * The entries of several components in one order, each path once: what components share is one record. Where they hold
 * different things at one path, each is a record of its own.
 */
export async function* mergedEntries(
  source: Source,
  manifest: Manifest,
  instances: readonly string[],
  paths: readonly string[] | undefined,
): AsyncGenerator<SourceEntry, void, undefined> {
  const cursors: Cursor[] = [];
  try {
    for (const instance of instances) {
      const root = manifest.components[instance]?.root;
      if (root === undefined) continue;
      const walk = walkWanted(source, Buffer.from(root, 'hex'), paths);
      cursors.push({ instance, walk, head: await nextOf(walk) });
    }
    for (;;) {
      const path = smallest(cursors);
      if (path === undefined) return;
      const here = cursors.filter((cursor) => cursor.head?.path === path);
      yield* recordsAt(source, here);
      for (const cursor of here) cursor.head = await nextOf(cursor.walk);
    }
  } finally {
    await Promise.all(cursors.map((cursor) => cursor.walk.return()));
  }
}

async function nextOf(walk: AsyncGenerator<Walked, void, undefined>): Promise<Walked | undefined> {
  const next = await walk.next();
  return next.done === true ? undefined : next.value;
}

function smallest(cursors: readonly Cursor[]): string | undefined {
  let path: string | undefined;
  for (const { head } of cursors) {
    if (head !== undefined && (path === undefined || compareLayoutPaths(head.path, path) < 0)) path = head.path;
  }
  return path;
}

async function* recordsAt(source: Source, here: readonly Cursor[]): AsyncGenerator<SourceEntry, void, undefined> {
  const groups: { first: Walked; in: Record<string, RecordMeta> }[] = [];
  for (const { instance, head } of here) {
    if (head === undefined) continue;
    const meta = encodeMeta(head.entry);
    const group = groups.find(({ first }) => isSame(first.entry, head.entry));
    if (group === undefined) groups.push({ first: head, in: { [instance]: meta } });
    else group.in[instance] = meta;
  }
  for (const { first, in: components } of groups) {
    const { entry } = first;
    const record = await recordOf(source, first, components);
    yield entry.type === 'file' ? { record, content: () => readContent(source.blobs, entry) } : { record };
  }
}

function isSame(a: TreeEntry, b: TreeEntry): boolean {
  if (a.type === 'file') return b.type === 'file' && sameFile(a, b);
  if (a.type === 'symlink') return b.type === 'symlink' && a.target.equals(b.target);
  return b.type === a.type;
}

function sameFile(a: FileEntry, b: FileEntry): boolean {
  const [one, other] = [a.blockSha256 ?? a.sha256, b.blockSha256 ?? b.sha256];
  const alike = (a.blockSha256 === undefined) === (b.blockSha256 === undefined);
  return alike && a.size === b.size && one !== undefined && other?.equals(one) === true;
}

/** SHA-256 of a content, in hexadecimal. That of a file with long holes is known by blocks only, so that it must be read. */
async function wholeHash(source: Source, entry: FileEntry): Promise<string> {
  if (entry.sha256 !== undefined) return entry.sha256.toString('hex');
  const hash = new WholeHash();
  for await (const piece of readPieces(source.blobs, entry)) {
    if (isHole(piece)) hash.zeros(piece.hole);
    else hash.update(piece);
  }
  return hash.digest().toString('hex');
}

async function recordOf(
  source: Source,
  { path, entry }: Walked,
  components: Record<string, RecordMeta>,
): Promise<EntryRecord> {
  switch (entry.type) {
    case 'file':
      return { path, kind: 'file', size: entry.size, sha256: await wholeHash(source, entry), in: components };
    case 'symlink':
      return { path, kind: 'symlink', target: decodeName(entry.target), in: components };
    case 'directory':
      return { path, kind: 'directory', in: components };
    case 'fifo':
      return { path, kind: 'fifo', in: components };
  }
}
