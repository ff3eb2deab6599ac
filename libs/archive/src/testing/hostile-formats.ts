import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import { craftedOf, padded, tarEntry, tarGzOf, tarOf, zipOf, type CraftedEntry, type ZipEnd } from './craft.ts';
import { changed, GOOD, text, type HostileCase } from './hostile-base.ts';

const zip = (name: string, entries: () => CraftedEntry[], says: RegExp, end: ZipEnd = {}): HostileCase => ({
  format: 'zip',
  name,
  bytes: () => zipOf(entries(), end),
  says,
});

const a =
  (zipFields: NonNullable<CraftedEntry['zip']>): (() => CraftedEntry[]) =>
  () =>
    changed('data/a.txt', (entry) => ({ ...entry, zip: zipFields }));

export const ZIPS: HostileCase[] = [
  zip('a wrong CRC', a({ crc: 1 }), /CRC/),
  zip('a wrong CRC in the local header', a({ localCrc: 1 }), /contradicts/),
  zip('a size that is too small', a({ size: 3 }), /not what entries|size/),
  zip('a size in the local header that differs', a({ localSize: 3 }), /contradicts/),
  zip('another name in the local header', a({ localName: '../../etc/passwd' }), /contradicts/),
  zip('another method in the local header', a({ localMethod: 0 }), /contradicts/),
  zip('other flags in the local header', a({ localFlags: 0x801 }), /contradicts/),
  zip('an encrypted entry', a({ flags: 0x801 }), /encrypted|cannot be read/),
  zip('a strongly encrypted entry', a({ flags: 0x841 }), /encrypt/),
  zip('a method that nobody has', a({ method: 99, raw: text('hello\n') }), /compressed in a way/),
  zip('data that is no deflate', a({ raw: text('hello hello hello') }), /cannot be read|size/),
  zip('data that is longer than it says', a({ raw: deflateRawSync(Buffer.alloc(50_000_000)) }), /cannot be read|size/),
  zip('a stored entry with two sizes', a({ method: 0, raw: text('hello\n'), packed: 3 }), /mismatch|contradicts/),
  zip('data that reaches past the end', a({ packed: 1_000_000 }), /cannot be read|contradicts/),
  zip('an offset past the end', a({ offset: 0x7fff_ffff }), /outside|cannot be read/),
  zip('a ZIP64 offset past 2^53', a({ offset: 0xffff_ffff_ffff_fff0n }), /outside|cannot be read/),
  zip(
    'entries that share their data',
    () => changed('data/b.txt', (entry) => ({ ...entry, zip: { offset: 0 } })),
    /overlap|contradicts/,
  ),
  zip(
    'two names for one entry',
    a({ extra: Buffer.concat([Buffer.from([0x75, 0x70, 10, 0, 1, 0, 0, 0, 0]), text('../xx')]) }),
    /two names/,
  ),
  zip('an extra field that ends nowhere', a({ extra: Buffer.from([1, 0, 0xff, 0xff]) }), /cannot be read/),
  zip('a device', a({ attributes: (0o020666 << 16) >>> 0 }), /neither a file/),
  zip('a FIFO', a({ attributes: (0o010666 << 16) >>> 0 }), /neither a file/),
  zip(
    'a directory with contents',
    () => changed('data/', (e) => ({ ...e, zip: { size: 5 } })),
    /no directory|mismatch/,
  ),
  zip(
    'a link with a target of megabytes',
    () => changed('data/link', (e) => ({ ...e, content: Buffer.alloc(1_000_000, 0x61) })),
    /too long/,
  ),
  zip(
    'a name that is not UTF-8',
    () => changed('data/a.txt', (e) => ({ ...e, name: Buffer.from([0xff, 0xfe]) })),
    /UTF-8|contradicts/,
  ),
  zip('a directory that lies elsewhere', () => craftedOf(GOOD), /cannot be read|outside/, { offset: 0x7fff_ffff }),
  zip('a ZIP64 directory past 2^53', () => craftedOf(GOOD), /outside/, { offset: 0xffff_ffff_ffff_ffffn }),
  zip('a ZIP64 record past 2^53', () => craftedOf(GOOD), /outside/, { zip64: { offset: 0xffff_ffff_ffff_fff0n } }),
  zip('a ZIP64 record without its signature', () => craftedOf(GOOD), /signature/, { zip64: { signature: 7 } }),
  zip('ten million entries', () => craftedOf(GOOD), /entries/, { entries: 10_000_000n }),
  zip('more entries than it has', () => craftedOf(GOOD), /cannot be read/, { entries: 9 }),
  zip('fewer entries than it has', () => craftedOf(GOOD), /missing from it/, { entries: 7 }),
  zip('several disks', () => craftedOf(GOOD), /multi-disk/, { disk: 1 }),
  zip('a second end in its comment', () => craftedOf(GOOD), /comment|does not begin|cannot be read/, {
    comment: zipOf([]),
  }),
  {
    format: 'zip',
    name: 'bytes behind its end',
    bytes: () => Buffer.concat([zipOf(craftedOf(GOOD)), Buffer.alloc(100, 1)]),
    says: /comment|cannot be read/,
  },
  {
    format: 'zip',
    name: 'a plain ZIP',
    bytes: () => zipOf([{ name: 'a.txt', content: text('a') }]),
    says: /does not begin/,
  },
  { format: 'zip', name: 'an empty ZIP', bytes: () => zipOf([]), says: /neither a ZIP/ },
  {
    format: 'zip',
    name: 'a bomb whose entries quote each other',
    // David Fifield's construction (https://www.bamsoftware.com/hacks/zipbomb/): many names, one kernel of data.
    bytes: () => {
      const kernel = Buffer.alloc(20_000_000);
      const shared = { raw: deflateRawSync(kernel), crc: crc32(kernel), size: kernel.length };
      const bomb = (name: string, more: object = {}): CraftedEntry => ({ name, zip: { ...shared, ...more } });
      const quoting = Array.from({ length: 200 }, (_, i) => bomb(`x${i + 1}`, { offset: 0 }));
      return zipOf([...craftedOf(GOOD), bomb('x0'), ...quoting]);
    },
    says: /overlap|contradicts|in none/,
  },
];

const tar = (
  name: string,
  tarFields: NonNullable<CraftedEntry['tar']>,
  says: RegExp,
  content?: Buffer,
): HostileCase => ({
  format: 'tar.gz',
  name,
  bytes: () =>
    tarGzOf(
      changed('data/a.txt', (entry) => ({ ...entry, ...(content === undefined ? {} : { content }), tar: tarFields })),
    ),
  says,
});

const EMPTY = Buffer.alloc(0);

export const TARS: HostileCase[] = [
  tar('a hard link out of it', { type: '1', link: '../../etc/passwd', size: 0 }, /neither a file/, EMPTY),
  tar('a symbolic link in place of a file', { type: '2', link: '/etc/passwd', size: 0 }, /not what entries/, EMPTY),
  tar('a symbolic link to nowhere', { type: '2', size: 0 }, /points nowhere/, EMPTY),
  tar('a character device', { type: '3', size: 0 }, /neither a file/, EMPTY),
  tar('a block device', { type: '4', size: 0 }, /neither a file/, EMPTY),
  tar('a FIFO', { type: '6', size: 0 }, /neither a file/, EMPTY),
  tar('a contiguous file', { type: '7' }, /neither a file/),
  tar('a sparse file of GNU tar', { type: 'S' }, /neither a file/),
  tar('a sparse file in pax', { pax: { 'GNU.sparse.major': '1', 'GNU.sparse.realsize': '99999999999' } }, /sparse/),
  tar('a type that nobody knows', { type: 'Z' }, /neither a file/),
  tar('a name in pax that leads out', { pax: { path: '../../etc/passwd' } }, /stands where/),
  tar('a size in pax that is too large', { pax: { size: '99999999999999' } }, /not what entries|cannot be read/),
  tar('a size in pax that is no number', { pax: { size: 'NaN' } }, /cannot be read|size/),
  tar('a negative size in pax', { pax: { size: '-5' } }, /cannot be read|size/),
  tar('a size of 2^63', { size: 2n ** 63n }, /size|not what|cannot be read/),
  tar('a wrong checksum of a header', { checksum: 7 }, /cannot be read/),
  tar(
    'a setuid bit, of which the records know nothing, on a directory',
    { type: '5', mode: 0o4755, size: 0 },
    /not what entries/,
    EMPTY,
  ),
  {
    format: 'tar.gz',
    name: 'a pax header of 5 MB',
    bytes: () =>
      tarGzOf(changed('data/a.txt', (entry) => ({ ...entry, tar: { pax: { comment: 'x'.repeat(5_000_000) } } }))),
    says: /Header exceeds|cannot be read/,
  },
  {
    format: 'tar.gz',
    name: 'entries behind the end',
    bytes: () => {
      const good = craftedOf(GOOD).map(tarEntry);
      return gzipSync(Buffer.concat([...good.slice(0, 6), Buffer.alloc(1024), ...good.slice(6), Buffer.alloc(1024)]));
    },
    says: /between two entries/,
  },
  {
    format: 'tar.gz',
    name: 'garbage behind the gzip',
    bytes: () => Buffer.concat([tarGzOf(craftedOf(GOOD)), Buffer.alloc(100, 7)]),
    says: /behind|cannot be read/,
  },
  {
    format: 'tar.gz',
    name: 'zeros behind the gzip',
    bytes: () => Buffer.concat([tarGzOf(craftedOf(GOOD)), Buffer.alloc(100_000)]),
    says: /behind/,
  },
  {
    format: 'tar.gz',
    name: 'a second archive behind the first',
    bytes: () => Buffer.concat([tarGzOf(craftedOf(GOOD)), tarGzOf(craftedOf(GOOD))]),
    says: /between two|in none|cannot/,
  },
  {
    format: 'tar.gz',
    name: 'a wrong CRC of the gzip',
    bytes: () => {
      const bytes = tarGzOf(craftedOf(GOOD));
      bytes.writeUInt8(bytes.readUInt8(bytes.length - 8) ^ 1, bytes.length - 8);
      return bytes;
    },
    says: /cannot be read/,
  },
  {
    format: 'tar.gz',
    name: 'no tar in the gzip',
    bytes: () => gzipSync(Buffer.alloc(10_000, 0x41)),
    says: /cannot be read/,
  },
  {
    format: 'tar.gz',
    name: 'a gzip in a gzip',
    bytes: () => gzipSync(tarGzOf(craftedOf(GOOD))),
    says: /cannot be read|does not begin/,
  },
  {
    format: 'tar.gz',
    name: 'a bomb of zeros',
    bytes: () => gzipSync(Buffer.alloc(300_000_000), { level: 1 }),
    says: /does not begin|cannot be read/,
  },
  {
    format: 'tar.gz',
    name: 'a bomb behind whole entries',
    bytes: () =>
      Buffer.concat([
        gzipSync(tarOf(craftedOf(GOOD)).subarray(0, -1024)),
        gzipSync(padded(tarEntry({ name: 'x', content: Buffer.alloc(100_000_000) })), { level: 1 }),
      ]),
    says: /tar|in none/,
  },
  {
    format: 'tar.gz',
    name: 'a plain TAR.GZ',
    bytes: () => tarGzOf([{ name: 'a.txt', content: text('a') }]),
    says: /does not begin/,
  },
  { format: 'tar.gz', name: 'an empty TAR.GZ', bytes: () => gzipSync(Buffer.alloc(1024)), says: /does not begin/ },
];

/** Legal, and of no use: a hundred headers of a megabyte before one entry. */
export function manyPaxHeaders(): Buffer {
  const pax = Buffer.concat([
    tarEntry({ name: 'x', tar: { type: 'x', size: 1_000_000 } }),
    padded(Buffer.alloc(1_000_000)),
  ]);
  const good = craftedOf(GOOD).map(tarEntry);
  return gzipSync(Buffer.concat([...good.slice(0, 5), ...Array.from({ length: 100 }, () => pax), ...good.slice(5)]), {
    level: 1,
  });
}
