import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '@foodsave-backup/format';
import { MemoryStorage } from '@foodsave-backup/storage';
import { isHole } from '@foodsave-backup/kernel';
import { checkRepository, hashOfKey, packObjectKey, prunePacks, Repository } from '../index.ts';
import {
  backUp,
  bytesIn,
  keysOf,
  makeClock,
  makeRepository,
  noise,
  SECRET,
  type Content,
  type Files,
} from './backups.ts';

/** Where the golden repositories lie: beside the document of the format that they keep. */
export const GOLDEN = join(import.meta.dirname, '../../../format/golden');

const PAGE = 512;
const PAGES = [noise(PAGE, 1), noise(PAGE, 2), Buffer.alloc(PAGE, 'page '), noise(PAGE, 3)];

const MONDAY: Files = {
  'data/app.db': { pageSize: PAGE, pages: Buffer.concat(PAGES) },
  'data/docs/one.txt': Buffer.from('The first document.\n'),
  'data/docs/two.txt': Buffer.from('The second document, which is longer.\n'.repeat(20)),
  'data/docs/noise.bin': noise(1500, 4),
  'data/docs/empty': Buffer.alloc(0),
  'data/emptyfolder': 'directory',
  'data/latest': { link: 'docs/two.txt' },
  'data/name\xff': { link: 'bytes that are not UTF-8' },
  'data/pipe': 'fifo',
  'data/docs/first name': { pieces: [Buffer.from('One file with two names.\n')], name: 'one file' },
  'data/second name': { pieces: [Buffer.from('One file with two names.\n')], name: 'one file' },
  'data/docs/marked.txt': {
    pieces: [Buffer.from('A document with attributes.\n')],
    xattrs: { 'user.empty': Buffer.alloc(0), 'user.note': Buffer.from([0, 1, 254, 255]) },
  },
  'data/sparse.img': { pieces: [noise(700, 6), { hole: (1 << 20) + 4096 }, noise(300, 7)], xattrs: {} },
  'data/blocks.img': { pieces: [{ hole: 3 << 20 }, Buffer.from('the end')], byBlocks: true },
};

/** One page of the database and one document changed, one file is new, one is gone. */
const { 'data/docs/empty': _gone, ...REST } = MONDAY;
const TUESDAY: Files = {
  ...REST,
  'data/app.db': { pageSize: PAGE, pages: Buffer.concat([...PAGES.slice(0, 3), noise(PAGE, 5)]) },
  'data/docs/one.txt': Buffer.from('The first document, corrected.\n'),
  'data/docs/three.txt': Buffer.from('The third document.\n'),
};

/** Oldest first. */
const BACKUPS: Readonly<Record<string, Files>> = { monday: MONDAY, tuesday: TUESDAY };

/** Pages that compress well: two frames of them are large, and the repository is small. */
const LARGE_PAGE = 8192;
const largePages = (count: number, seed: number): Buffer =>
  Buffer.concat(
    Array.from({ length: count }, (_, i) => Buffer.alloc(LARGE_PAGE, noise(64 * (i + 1), seed).subarray(64 * i))),
  );

/** Of what `first` stored, `second` needs every other page of the first frame, none of the second, and half of the small files. */
function night(second: boolean): Files {
  const pages = largePages(128, 8);
  const files: Record<string, Content> = {};
  if (second) {
    const others = largePages(128, 9);
    for (let page = 0; page < 128; page += page < 64 ? 2 : 1)
      others.copy(pages, page * LARGE_PAGE, page * LARGE_PAGE, (page + 1) * LARGE_PAGE);
  }
  for (let i = 0; i < 8; i++) files[`data/small/${i}`] = noise(500, 30 + i + (second && i % 4 < 2 ? 10 : 0));
  return { ...files, 'data/large.db': { pageSize: LARGE_PAGE, pages } };
}

/** What `punched` holds: the night before is deleted, and its blobs are punched. */
const LAST_NIGHT = 'lastnight';

/** What each backup of a golden repository holds. */
export const TREES: Readonly<Record<string, Files>> = { ...BACKUPS, [LAST_NIGHT]: night(true) };

async function makePunched(): Promise<MemoryStorage> {
  const storage = new MemoryStorage();
  const repository = await makeRepository({ storage, secret: SECRET });
  await backUp(repository, 'nightbefore', night(false));
  await backUp(repository, LAST_NIGHT, night(true));
  await repository.manifests.delete('nightbefore');
  await prunePacks(repository, { dryRun: false, doomed: new Set() });
  return storage;
}

interface Harm {
  name: string;
  of: 'plain' | 'encrypted' | 'punched';
  do: (storage: MemoryStorage, repository: Repository) => Promise<void>;
}

async function flip(storage: MemoryStorage, key: string, at: number): Promise<void> {
  const bytes = Buffer.from(await storage.get(key));
  const i = (at + bytes.length) % bytes.length;
  bytes.writeUInt8(bytes.readUInt8(i) ^ 1, i);
  await storage.put(key, bytes);
}

async function largest(storage: MemoryStorage, folder: string): Promise<{ key: string; size: number }> {
  let found = { key: '', size: 0 };
  for await (const { key, size } of storage.list(folder)) if (size > found.size) found = { key, size };
  return found;
}

/** In the first frame of a pack: the header has 64 bytes. */
const IN_A_FRAME = 70;

const HARMS: readonly Harm[] = [
  {
    name: 'frame-flipped',
    of: 'plain',
    do: async (storage) => flip(storage, (await largest(storage, 'files/')).key, IN_A_FRAME),
  },
  {
    name: 'frame-flipped-encrypted',
    of: 'encrypted',
    do: async (storage) => flip(storage, (await largest(storage, 'files/')).key, IN_A_FRAME),
  },
  {
    name: 'punched-frame-flipped',
    of: 'punched',
    do: async (storage) => flip(storage, (await largest(storage, 'files/')).key, IN_A_FRAME),
  },
  {
    name: 'pack-directory-flipped',
    of: 'encrypted',
    do: async (storage) => flip(storage, (await largest(storage, 'files/')).key, -40),
  },
  {
    name: 'pack-truncated',
    of: 'plain',
    do: async (storage) => {
      const { key, size } = await largest(storage, 'files/');
      await storage.put(key, (await storage.get(key)).subarray(0, size >> 1));
    },
  },
  {
    name: 'pack-missing',
    of: 'plain',
    do: async (storage) => storage.delete((await largest(storage, 'files/')).key),
  },
  {
    name: 'trees-flipped',
    of: 'plain',
    do: async (storage, repository) => {
      const { index } = await repository.loadIndex();
      const manifest = await repository.manifests.get('monday');
      const root = index.get(Buffer.from(manifest.components['main']?.root ?? '', 'hex'));
      if (root !== undefined)
        await flip(storage, packObjectKey(root.pack.folder, root.pack.hash), root.blob.offset + 20);
    },
  },
  {
    name: 'index-missing',
    of: 'encrypted',
    do: async (storage) => {
      for (const key of await keysOf(storage, 'index/')) await storage.delete(key);
    },
  },
  {
    name: 'index-flipped',
    of: 'plain',
    do: async (storage) => {
      for (const key of await keysOf(storage, 'index/')) await flip(storage, key, 80);
    },
  },
  {
    name: 'index-lies',
    of: 'plain',
    do: async (storage, repository) => {
      const { index, files } = await repository.loadIndex();
      const key = (await largest(storage, 'files/')).key;
      const packs = [...index.packs()].map((pack) => {
        const lies = hashOfKey(key)?.equals(pack.hash) === true ? 1 : 0;
        const blobs = index.blobsOf(pack.hash).map((blob) => ({ ...blob, offset: blob.offset + lies }));
        return { ...pack, blobs };
      });
      await repository.indexStore.write(packs);
      for (const file of files) await storage.delete(file);
    },
  },
  { name: 'first-manifest-flipped', of: 'encrypted', do: (storage) => flip(storage, 'monday.json', 200) },
  { name: 'first-manifest-missing', of: 'plain', do: (storage) => storage.delete('tuesday.json') },
  { name: 'second-manifest-flipped', of: 'plain', do: (storage) => flip(storage, 'manifests/monday.json', 200) },
  {
    name: 'both-manifests-flipped',
    of: 'encrypted',
    do: async (storage) => {
      for (const key of ['monday.json', 'manifests/monday.json']) await flip(storage, key, 200);
    },
  },
  { name: 'repository-file-flipped', of: 'plain', do: (storage) => flip(storage, 'repository.json', 100) },
];

/** What a repository is expected to be, in `expected.json`. */
export interface ExpectedRepository {
  encrypted: boolean;
  /** Backups that are listed, newest first. */
  backups: string[];
  check: {
    status: string;
    damaged: { kind: string; what: string }[];
    affected: { backups: string[]; files: { path: string; backups: string[] }[] };
  };
}

export interface ExpectedEntry {
  type: 'file' | 'directory' | 'symlink' | 'fifo';
  size?: number;
  /** Of the content, also where the tree keeps the hash by blocks. */
  sha256?: string;
  byBlocks?: boolean;
  /** Offset and length of each, in bytes. */
  holes?: [number, number][];
  /** Equal for all names of one file. */
  link?: string;
  /** Values in hexadecimal, by name; absent when nobody looked. */
  xattrs?: Record<string, string>;
  target?: string;
}

export interface Expected {
  /** Opens the encrypted ones. */
  secret: string;
  /** What a backup holds, by its name and by path (bytes as latin1). */
  trees: Record<string, Record<string, ExpectedEntry>>;
  repositories: Record<string, ExpectedRepository>;
}

export function expectedEntry(content: Content): ExpectedEntry {
  if (typeof content === 'string') return { type: content };
  if ('link' in content) return { type: 'symlink', target: content.link };
  const bytes = bytesIn(content);
  const entry: ExpectedEntry = { type: 'file', size: bytes.length, sha256: sha256(bytes).toString('hex') };
  if (!('pieces' in content)) return entry;
  const { pieces, name, xattrs, byBlocks } = content;
  const holes: [number, number][] = [];
  let at = 0;
  for (const piece of pieces) {
    if (isHole(piece)) holes.push([at, piece.hole]);
    at += isHole(piece) ? piece.hole : piece.length;
  }
  if (byBlocks === true) entry.byBlocks = true;
  if (holes.length > 0) entry.holes = holes;
  if (name !== undefined) entry.link = name;
  if (xattrs !== undefined)
    entry.xattrs = Object.fromEntries(Object.entries(xattrs).map(([key, value]) => [key, value.toString('hex')]));
  return entry;
}

export function openGolden(storage: MemoryStorage, encrypted: boolean): Promise<Repository> {
  return Repository.open(storage, { clock: makeClock(), secret: encrypted ? SECRET : undefined });
}

/** The objects of a golden repository, in memory: reading it leaves the files as they are. */
export async function loadGolden(name: string): Promise<MemoryStorage> {
  const storage = new MemoryStorage();
  const directory = join(GOLDEN, name);
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name: file }) => join(parentPath, file));
  // No file system promises an order, and in which one damage is found depends on it.
  for (const path of files.sort()) await storage.put(path.slice(directory.length + 1), await readFile(path));
  return storage;
}

export async function judge(storage: MemoryStorage, encrypted: boolean): Promise<ExpectedRepository> {
  const repository = await openGolden(storage, encrypted);
  const { manifests } = await repository.manifests.list();
  const { status, damaged, affected } = await checkRepository(repository, { readData: true });
  return {
    encrypted,
    backups: manifests.map(({ name }) => name),
    check: {
      status,
      damaged: damaged.map(({ kind, what }) => ({ kind, what })),
      affected: {
        backups: affected.backups,
        files: affected.files.map(({ path, backups }) => ({ path, backups })),
      },
    },
  };
}

/** Every golden repository, whole and damaged, by its folder. */
export async function makeGolden(): Promise<Map<string, { storage: MemoryStorage; encrypted: boolean }>> {
  const made = new Map<string, { storage: MemoryStorage; encrypted: boolean }>();
  for (const [name, secret] of [
    ['plain', undefined],
    ['encrypted', SECRET],
  ] as const) {
    const storage = new MemoryStorage();
    const repository = await makeRepository({ storage, secret });
    for (const [backup, files] of Object.entries(BACKUPS)) {
      const { manifest } = await backUp(repository, backup, files);
      if (backup !== 'monday') continue;
      await repository.notes.add({ type: 'hold', at: manifest.createdAt, backup: manifest.id, name: backup, on: true });
    }
    made.set(name, { storage, encrypted: secret !== undefined });
  }
  made.set('punched', { storage: await makePunched(), encrypted: true });
  for (const harm of HARMS) {
    const whole = made.get(harm.of);
    if (whole === undefined) continue;
    const storage = whole.storage.clone();
    await harm.do(storage, await openGolden(storage, whole.encrypted));
    made.set(`damaged/${harm.name}`, { storage, encrypted: whole.encrypted });
  }
  return made;
}
