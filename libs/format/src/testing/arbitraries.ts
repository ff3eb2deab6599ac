import { BackupError } from '@foodsave-backup/kernel';
import fc from 'fast-check';
import { zstdCompressSync } from 'node:zlib';
import {
  blobId,
  CODEC,
  PackBuilder,
  RepositoryKeys,
  sha256,
  type BlobEntry,
  type BlobKind,
  type CompressedFrame,
  type Extent,
  type ExtentList,
  type Folder,
  type TreeEntry,
  type TreeMeta,
  type TreeXattr,
} from '../index.ts';

// The same inputs in every run; another seed is a matter of changing this line.
fc.configureGlobal({ seed: 20_261_123 });

const REPOSITORY_ID = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');

export const plainKeys = new RepositoryKeys(REPOSITORY_ID, undefined);
export const encryptedKeys = new RepositoryKeys(REPOSITORY_ID, Buffer.alloc(32, 0x42));
export const BOTH: readonly [string, RepositoryKeys][] = [
  ['plain', plainKeys],
  ['encrypted', encryptedKeys],
];
export const SALT = Buffer.alloc(32, 0x5a);

/** Runs a parser that must give a value or refuse the bytes as data that is damaged or too new; nothing else may come out. */
export function attempt<T>(parse: () => T): { value: T } | { refused: string } {
  try {
    return { value: parse() };
  } catch (error) {
    if (error instanceof BackupError && (error.code === 'DATA_DAMAGED' || error.code === 'FORMAT_TOO_NEW')) {
      return { refused: error.code };
    }
    throw error;
  }
}

/** The code with which `parse` refuses, or `undefined` when it does not. */
export function refusal(parse: () => unknown): string | undefined {
  const result = attempt(parse);
  return 'refused' in result ? result.refused : undefined;
}

export const bytesOf = (min: number, max: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: min, maxLength: max }).map((bytes) => Buffer.from(bytes));

export const anId = bytesOf(32, 32);
const safe = fc.maxSafeNat();
const signed64 = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });

export function frameOf(data: Uint8Array): CompressedFrame {
  const packed = zstdCompressSync(data);
  const smaller = packed.length < data.length;
  return {
    length: data.length,
    hash: sha256(data),
    codec: smaller ? CODEC.zstd : CODEC.raw,
    data: smaller ? packed : data,
  };
}

export interface SamplePack {
  bytes: Buffer;
  hash: Buffer;
  blobs: BlobEntry[];
  contents: Uint8Array[][];
}

/** A pack of data blobs, each given by the contents of its frames. */
export function packOf(
  keys: RepositoryKeys,
  contents: Uint8Array[][],
  options: { folder?: Folder; kind?: BlobKind } = {},
): SamplePack {
  const builder = new PackBuilder(keys, options.folder ?? 'files', SALT);
  for (const content of contents) {
    const frames = content.map(frameOf);
    const kind = options.kind ?? 1;
    builder.add(kind, blobId(keys, kind, frames), frames);
  }
  const pack = builder.finish();
  return { ...pack, hash: sha256(pack.bytes), contents };
}

export const someBlobs = fc.array(fc.array(bytesOf(1, 300), { minLength: 1, maxLength: 4 }), { maxLength: 5 });

const anExtent = (unit: number, ids: readonly Buffer[]): fc.Arbitrary<Extent> => {
  const most = Math.floor((16 * 1024 * 1024) / unit);
  const inBlob = fc
    .tuple(fc.constantFrom(...ids), fc.nat(most - 1), fc.nat(most))
    .map(([blob, offset, length]) => ({ blob, offset, length: Math.max(1, Math.min(length, most - offset)) }));
  const hole = fc.integer({ min: 1, max: 2 ** 40 }).map((length) => ({ blob: undefined, offset: 0, length }));
  return fc.oneof({ weight: 4, arbitrary: inBlob }, { weight: 1, arbitrary: hole });
};

export const extentLists: fc.Arbitrary<ExtentList> = fc
  .tuple(
    fc.constantFrom(1, 512, 4096, 65_536),
    fc.uniqueArray(anId, { minLength: 1, maxLength: 4, comparator: 'SameValue' }),
  )
  .chain(([unit, ids]) =>
    fc.record({ unit: fc.constant(unit), extents: fc.array(anExtent(unit, ids), { maxLength: 12 }) }),
  );

export const names = bytesOf(1, 40).filter((name) => {
  const dots = name.length <= 2 && name.every((byte) => byte === 0x2e);
  return !dots && !name.includes(0x2f) && !name.includes(0);
});

const xattrs: fc.Arbitrary<TreeXattr[]> = fc
  .uniqueArray(fc.record({ name: bytesOf(1, 20).filter((name) => !name.includes(0)), value: bytesOf(0, 20) }), {
    maxLength: 4,
    selector: ({ name }) => name.toString('latin1'),
  })
  .map((list) => list.sort((a, b) => Buffer.compare(a.name, b.name)));

const metas: fc.Arbitrary<TreeMeta> = fc.record(
  {
    mode: fc.nat(0o7777),
    mtimeNs: signed64,
    uid: safe,
    gid: safe,
    ctimeNs: signed64,
    inode: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    xattrs,
  },
  { requiredKeys: ['mode', 'mtimeNs'] },
);

const fileParts = fc.oneof(
  fc.record({ size: fc.constant(0), sha256: anId }),
  fc.record({ size: fc.integer({ min: 1 }), sha256: anId, extents: extentLists }),
  fc.record({
    size: safe.filter((n) => n > 0),
    sha256: anId,
    extentRoot: anId,
    pageSize: fc.constantFrom(512, 65_536),
  }),
  fc.record({
    size: fc.integer({ min: 1 }),
    blockSha256: anId,
    extents: extentLists,
    link: bytesOf(1, 32),
    holeBytes: safe,
  }),
  fc.record({ size: fc.constant(7), sha256: anId, extents: extentLists, changedWhileRead: fc.constant(true) }),
);
const directoryParts = fc.record(
  { tree: anId, files: safe, bytes: safe, implied: fc.constant(true) },
  { requiredKeys: ['tree'] },
);

export const entries: fc.Arbitrary<TreeEntry> = fc.tuple(names, metas).chain(([name, meta]) =>
  fc.oneof(
    fileParts.map((part): TreeEntry => ({ ...meta, name, type: 'file', ...part })),
    directoryParts.map((part): TreeEntry => ({ ...meta, name, type: 'directory', ...part })),
    fc.constant<TreeEntry>({ ...meta, name, type: 'fifo' }),
    bytesOf(1, 60).map((target): TreeEntry => ({ ...meta, name, type: 'symlink', target })),
  ),
);

/** Entries of one directory: ascending, each name once. */
export const directories: fc.Arbitrary<TreeEntry[]> = fc
  .uniqueArray(entries, { maxLength: 6, selector: (entry) => entry.name.toString('latin1') })
  .map((list) => list.sort((a, b) => Buffer.compare(a.name, b.name)));

/** `bytes` with some bytes changed, cut, doubled or put in. */
export function mutated(bytes: Uint8Array): fc.Arbitrary<Buffer> {
  const at = fc.nat(Math.max(0, bytes.length - 1));
  const flip = fc.tuple(at, fc.integer({ min: 1, max: 255 })).map(([i, x]) => (b: Buffer) => {
    if (b.length > 0) b[i % b.length]! ^= x;
    return b;
  });
  const cut = at.map((i) => (b: Buffer) => b.subarray(0, i));
  const insert = fc.tuple(at, bytesOf(1, 12)).map(
    ([i, extra]) =>
      (b: Buffer) =>
        Buffer.concat([b.subarray(0, i), extra, b.subarray(i)]),
  );
  const repeat = fc.tuple(at, at).map(
    ([i, j]) =>
      (b: Buffer) =>
        Buffer.concat([b, b.subarray(Math.min(i, j), Math.max(i, j))]),
  );
  return fc
    .array(fc.oneof({ weight: 4, arbitrary: flip }, cut, insert, repeat), { minLength: 1, maxLength: 4 })
    .map((steps) => steps.reduce((b: Buffer, step) => step(b), Buffer.from(bytes)));
}
