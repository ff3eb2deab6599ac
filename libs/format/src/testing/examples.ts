import {
  blobId,
  CODEC,
  encodeDirectory,
  encodeEntry,
  encodeExtents,
  encodeIndex,
  encodeManifest,
  encodeTreeLeaf,
  makeHeader,
  OBJECT_KIND,
  PackBuilder,
  pageHashesId,
  RepositoryKeys,
  sealObject,
  sha256,
  type BlobEntry,
  type ExtentList,
  type IndexedPack,
  type Manifest,
  type TreeEntry,
} from '../index.ts';

const count = (from: number, bytes: number): Buffer => Buffer.from(Array.from({ length: bytes }, (_, i) => from + i));

export const REPOSITORY_ID = count(0x00, 16);
export const MASTER = count(0x20, 32);
export const SALT = count(0x40, 32);
export const KEYS = {
  plain: new RepositoryKeys(REPOSITORY_ID, undefined),
  encrypted: new RepositoryKeys(REPOSITORY_ID, MASTER),
} as const;

/** The frames of the two blobs of the example packs. The second blob's first frame is stored as the zstd frame below. */
export const HELLO = Buffer.from('Hello, backup!');
export const REPEATED = Buffer.alloc(100, 'a');
export const REST = Buffer.from('the rest');
/** 100 letters `a` as one zstd frame of one RLE block (RFC 8878), written by hand: independent of any version of zstd. */
export const ZSTD_REPEATED = Buffer.from('28b52ffd20642303' + '0061', 'hex');

export const EXTENTS: ExtentList = {
  unit: 4096,
  extents: [
    { blob: Buffer.alloc(32, 0xaa), offset: 0, length: 3 },
    { blob: undefined, offset: 0, length: 200 },
    { blob: Buffer.alloc(32, 0xbb), offset: 7, length: 1 },
    { blob: Buffer.alloc(32, 0xaa), offset: 5, length: 2 },
  ],
};

export const ENTRIES: TreeEntry[] = [
  {
    type: 'file',
    name: Buffer.from('a.txt'),
    mode: 0o644,
    mtimeNs: 1_795_406_400_123_456_789n,
    uid: 1000,
    gid: 1000,
    size: HELLO.length,
    sha256: sha256(HELLO),
    extents: { unit: 1, extents: [{ blob: Buffer.alloc(32, 0xaa), offset: 0, length: HELLO.length }] },
  },
  {
    type: 'directory',
    name: Buffer.from('d'),
    mode: 0o755,
    mtimeNs: -1n,
    tree: Buffer.alloc(32, 0xcc),
    files: 2,
    bytes: 300,
  },
  {
    type: 'file',
    name: Buffer.from('img'),
    mode: 0o600,
    mtimeNs: 0n,
    size: 2 ** 40,
    // The hash by blocks, which no example can show the making of.
    blockSha256: Buffer.alloc(32, 0xbb),
    extents: { unit: 1, extents: [{ blob: undefined, offset: 0, length: 2 ** 40 }] },
    link: Buffer.from('one'),
    holeBytes: 2 ** 40,
    xattrs: [{ name: Buffer.from('user.note'), value: Buffer.from('hi') }],
  },
  { type: 'fifo', name: Buffer.from('pipe'), mode: 0o644, mtimeNs: 0n, xattrs: [] },
  { type: 'symlink', name: Buffer.from([0xff]), mode: 0o777, mtimeNs: 0n, target: Buffer.from('a.txt') },
];

export const NOTE = Buffer.from('{"type":"example"}');

export function examplePack(keys: RepositoryKeys): { bytes: Buffer; hash: Buffer; blobs: BlobEntry[] } {
  const pack = new PackBuilder(keys, 'files', SALT);
  const raw = (data: Buffer) => ({ length: data.length, hash: sha256(data), codec: CODEC.raw, data });
  const packed = { length: REPEATED.length, hash: sha256(REPEATED), codec: CODEC.zstd, data: ZSTD_REPEATED };
  for (const frames of [[raw(HELLO)], [packed, raw(REST)]]) pack.add(1, blobId(keys, 1, frames), frames);
  const made = pack.finish();
  return { ...made, hash: sha256(made.bytes) };
}

export function exampleIndex(): IndexedPack {
  const { hash, bytes, blobs } = examplePack(KEYS.plain);
  return { hash, folder: 'files', size: bytes.length, blobs: blobs.slice(0, 1) };
}

export const MANIFEST: Manifest = {
  repositoryId: REPOSITORY_ID.toString('hex'),
  name: 'full_backup_20261123_040000',
  id: '01kaqxg0000000000000000000',
  createdAt: '2026-11-23T04:00:00.000Z',
  finishedAt: '2026-11-23T04:00:02.500Z',
  files: 2,
  sizeBytes: 122,
  storedBytes: 32,
  folders: [{ folder: 'files', files: 2, sizeBytes: 122, storedBytes: 32 }],
  status: 'complete',
  durationMs: 2500,
  trigger: 'manual',
  tags: [],
  application: 'example',
  software: '0.1.0',
  captureSkewMs: 0,
  components: {
    'files:uploads': {
      type: 'files',
      driver: 'directory',
      status: 'complete',
      files: 2,
      directories: 0,
      links: 0,
      sizeBytes: 122,
      storedBytes: 32,
      capturedAt: '2026-11-23T04:00:01.000Z',
      root: 'dd'.repeat(32),
      facts: {},
    },
  },
};

/** Every example that is bytes: what libs/format makes of the values above. */
export function exampleBytes(): Record<string, Buffer> {
  return {
    'header-plain': makeHeader(KEYS.plain, OBJECT_KIND.index, 'meta', SALT).bytes,
    'header-encrypted': makeHeader(KEYS.encrypted, OBJECT_KIND.pack, 'files', SALT).bytes,
    'note-plain': sealObject(KEYS.plain, OBJECT_KIND.note, NOTE, SALT),
    'note-encrypted': sealObject(KEYS.encrypted, OBJECT_KIND.note, NOTE, SALT),
    'pack-plain': examplePack(KEYS.plain).bytes,
    'pack-encrypted': examplePack(KEYS.encrypted).bytes,
    extents: encodeExtents(EXTENTS),
    'tree-leaf': encodeTreeLeaf(ENTRIES.map(encodeEntry)),
    index: encodeIndex([exampleIndex()], [Buffer.alloc(32, 0xee)]),
  };
}

export function exampleManifest(): string {
  return encodeManifest(KEYS.plain, MANIFEST, SALT).toString('utf8');
}

type Part = readonly [bytes: number, comment: string];

/** A fenced block: each part on a line of its own, at most 32 bytes a line; comments after `#`. */
function block(name: string, bytes: Buffer, parts: readonly Part[]): string {
  const lines: string[] = [];
  let at = 0;
  for (const [length, comment] of [...parts, [Infinity, ''] as const]) {
    const end = Math.min(at + length, bytes.length);
    for (let first = true; at < end; at += 32, first = false) {
      const hex = bytes.subarray(at, Math.min(at + 32, end)).toString('hex');
      lines.push(first && comment !== '' ? `${hex} # ${comment}` : hex);
    }
    at = end;
  }
  return ['```hex name=' + name, ...lines, '```'].join('\n');
}

const HEADER: Part[] = [
  [12, 'FSBACKUP, version, kind, flags, folder'],
  [4, '0'],
  [16, 'repository id'],
  [32, 'salt'],
];
const NOTE_PARTS: Part[] = [
  ...HEADER,
  [5, 'codec raw, length 18'],
  [NOTE.length, 'content'],
  [32, 'SHA-256(header ‖ plaintext)'],
];

function packParts(encrypted: boolean): Part[] {
  const { blobs } = examplePack(encrypted ? KEYS.encrypted : KEYS.plain);
  const frames = blobs.flatMap((blob, b) =>
    blob.frames.map(({ stored, codec }, f): Part => [stored, `blob ${b}, frame ${f}, ${codec === 0 ? 'raw' : 'zstd'}`]),
  );
  const directory = encodeDirectory(blobs).length;
  const sealed: Part[] = encrypted
    ? [[directory + 16, 'the directory, encrypted, and its tag']]
    : [
        [directory, 'the directory'],
        [32, 'SHA-256(header ‖ directory)'],
      ];
  return [...HEADER, ...frames, ...sealed, [16, 'length of the sealed directory, 0, FSBPKEND']];
}

const EXTENT_PARTS: Part[] = [
  [2, 'unit 4096'],
  [1, '2 blobs'],
  [32, 'blob 0'],
  [32, 'blob 1'],
  [1, '4 extents'],
  [3, 'blob 0, +0, 3 pages: pages 0 to 2 of it'],
  [3, 'number 2, one past the last: a hole of 200 pages'],
  [3, 'blob 1, +7, 1 page: page 7 of it'],
  [3, 'blob 0, +2 from the end of its last extent (3), 2 pages: pages 5 and 6'],
];

function treeParts(): Part[] {
  const sizes = ENTRIES.map((entry) => encodeEntry(entry).length);
  const head = (size: number): number => (size >= 0x80 ? 3 : 2);
  const what = [
    'file a.txt',
    'directory d',
    'file img, all of it a hole',
    'named pipe',
    'symbolic link, its name is the byte ff',
  ];
  return [[3, 'field 1: 0, a leaf'], ...sizes.map((size, i): Part => [size + head(size), `field 3: ${what[i] ?? ''}`])];
}

const idRows = (keys: RepositoryKeys): string =>
  examplePack(keys)
    .blobs.map(({ id }) => `\`${id.toString('hex')}\``)
    .join(', ');

function subkeyRows(): string[] {
  const rows = (['encrypted', 'plain'] as const).flatMap((which) => {
    const keys = KEYS[which];
    const list: [string, Buffer][] = [
      ['blob id key', keys.blobIdKey],
      ['page hash key', keys.pageHashKey],
      ['chunker key', keys.chunkerKey],
      ['manifest key', keys.manifestKey],
    ];
    if (which === 'encrypted')
      for (const kind of [1, 2, 3, 4]) list.push([`object key, kind ${kind}`, keys.objectKey(kind, SALT)]);
    return list.map(([name, key]) => `| ${which} | ${name} | \`${key.toString('hex')}\` |`);
  });
  return ['| repository | subkey | value |', '| --- | --- | --- |', ...rows];
}

/** The section "13 Examples" of FORMAT.md, from its heading to its end. */
export function examplesSection(): string {
  const bytes = exampleBytes();
  const hex = (name: string, parts: readonly Part[]): string => block(name, bytes[name] ?? Buffer.alloc(0), parts);
  const encryptedNote: Part[] = [...HEADER, [5 + NOTE.length, 'ciphertext'], [16, 'tag']];
  return [
    '## 13 Examples',
    'Tests compare these with what the libraries write and read. Repository id: bytes `00` to `0f`; master key of the encrypted examples: `20` to `3f`; salt: `40` to `5f`.',
    'In the blocks, `#` starts a comment. `node --conditions=@foodsave-backup/source libs/format/src/testing/write-examples.ts` writes this section.',
    '',
    'Subkeys:',
    ...subkeyRows(),
    '',
    'Headers: of an index file without encryption (salt 0), and of an encrypted pack in `files/`.',
    hex('header-plain', HEADER),
    hex('header-encrypted', HEADER),
    '',
    `Notes, sealed objects with the content \`${NOTE.toString()}\`.`,
    hex('note-plain', NOTE_PARTS),
    hex('note-encrypted', encryptedNote),
    '',
    'The same pack twice. Its blobs, both of kind 1 (data):',
    '| blob | frame | content | stored |',
    '| --- | --- | --- | --- |',
    `| 0 | 0 | \`${HELLO.toString()}\` | raw |`,
    '| 1 | 0 | 100 times `a` | zstd |',
    `| 1 | 1 | \`${REST.toString()}\` | raw |`,
    '',
    '| pack | name (SHA-256) | blob ids |',
    '| --- | --- | --- |',
    `| \`pack-plain\` | \`${examplePack(KEYS.plain).hash.toString('hex')}\` | ${idRows(KEYS.plain)} |`,
    `| \`pack-encrypted\` | \`${examplePack(KEYS.encrypted).hash.toString('hex')}\` | ${idRows(KEYS.encrypted)} |`,
    '',
    `If blob 0 were of kind 2 (pages) with that id, its page hashes would have the id \`${pageHashesId(KEYS.plain, examplePack(KEYS.plain).blobs[0]?.id ?? SALT).toString('hex')}\` (plain).`,
    hex('pack-plain', packParts(false)),
    hex('pack-encrypted', packParts(true)),
    '',
    'An extent list: 206 pages of 4,096 bytes, of which 200 are a hole.',
    hex('extents', EXTENT_PARTS),
    '',
    'A tree leaf:',
    '| name | type | mode | modified (ns) | more |',
    '| --- | --- | --- | --- | --- |',
    `| \`a.txt\` | file | 0644 | 1795406400123456789 | user and group 1000; ${HELLO.length} bytes, one extent: blob \`aa…\`, offset 0 |`,
    '| `d` | directory | 0755 | -1 | node `cc…`; 2 files of 300 bytes below it |',
    '| `img` | file | 0600 | 0 | 2^40 bytes, all a hole; hash by blocks `bb…`; link `one`; attribute `user.note` = `hi` |',
    '| `pipe` | named pipe | 0644 | 0 | it has no attributes |',
    '| byte `ff` | link | 0777 | 0 | target `a.txt` |',
    hex('tree-leaf', treeParts()),
    '',
    'The content of an index file that names blob 0 of `pack-plain` and replaces the index file `ee…`:',
    hex('index', []),
    '',
    'A manifest without encryption, the bytes between the fences:',
    '```json name=manifest-plain',
    exampleManifest().trimEnd(),
    '```',
    '',
  ].join('\n');
}

/** `text` (FORMAT.md) with this section in place of its last. */
export function withExamples(text: string): string {
  const start = text.indexOf('\n## 13 Examples');
  if (start < 0) throw new Error('FORMAT.md has no section "13 Examples"');
  return text.slice(0, start + 1) + examplesSection();
}
