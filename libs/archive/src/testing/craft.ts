import { createHash } from 'node:crypto';
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import { checksumLine } from '../checksums.ts';
import { encodeArchiveManifest, type ArchiveManifest } from '../manifest.ts';
import { CHECKSUMS_NAME, MANIFEST_NAME, RECORDS_NAME, RESERVED_FOLDER } from '../names.ts';
import { encodeRecord, type EntryRecord } from '../records.ts';
import { manifestOf, recordOf, type SampleEntry } from './sample.ts';

/** An entry as an attacker writes it: everything that a header says can be said otherwise. */
export interface CraftedEntry {
  name: string | Buffer;
  content?: Uint8Array;
  kind?: 'file' | 'directory' | 'symlink';
  /** ZIP. */
  zip?: {
    method?: number;
    flags?: number;
    localFlags?: number;
    crc?: number;
    localCrc?: number;
    size?: number;
    packed?: number;
    localSize?: number;
    localName?: string;
    localMethod?: number;
    /** Compressed bytes as they stand in the file. */
    raw?: Buffer;
    /** Of the local header, instead of where it is. */
    offset?: number | bigint;
    extra?: Buffer;
    attributes?: number;
    madeBy?: number;
  };
  /** TAR. */
  tar?: {
    type?: string;
    link?: string;
    size?: number | bigint;
    pax?: Record<string, string>;
    mode?: number;
    checksum?: number;
  };
}

export interface ZipEnd {
  entries?: number | bigint;
  offset?: number | bigint;
  comment?: Buffer;
  disk?: number;
  zip64?: { offset?: bigint; signature?: number };
}

const MODES = { file: 0o100644, directory: 0o040755, symlink: 0o120777 } as const;

export function zipOf(entries: readonly CraftedEntry[], end: ZipEnd = {}): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const entry of entries) {
    const local = localOf(entry);
    directory.push(centralOf(entry, at));
    parts.push(local);
    at += local.length;
  }
  const central = Buffer.concat(directory);
  return Buffer.concat([...parts, central, endOf(entries.length, central.length, at, end)]);
}

function packedOf({ content = Buffer.alloc(0), zip = {} }: CraftedEntry): Buffer {
  if (zip.raw !== undefined) return zip.raw;
  return (zip.method ?? 8) === 8 ? deflateRawSync(content) : Buffer.from(content);
}

function methodOf({ kind, zip = {} }: CraftedEntry): number {
  return zip.method ?? (kind === 'directory' ? 0 : 8);
}

function localOf(entry: CraftedEntry): Buffer {
  const { content = Buffer.alloc(0), zip = {}, kind } = entry;
  const packed = kind === 'directory' ? Buffer.alloc(0) : packedOf(entry);
  const name = Buffer.from(zip.localName ?? entry.name);
  const head = Buffer.alloc(30);
  head.writeUInt32LE(0x04034b50, 0);
  head.writeUInt16LE(20, 4);
  head.writeUInt16LE(zip.localFlags ?? zip.flags ?? 0x800, 6);
  head.writeUInt16LE(zip.localMethod ?? methodOf(entry), 8);
  head.writeUInt32LE(zip.localCrc ?? zip.crc ?? crc32(content), 14);
  head.writeUInt32LE(packed.length, 18);
  head.writeUInt32LE(zip.localSize ?? zip.size ?? content.length, 22);
  head.writeUInt16LE(name.length, 26);
  return Buffer.concat([head, name, packed]);
}

function centralOf(entry: CraftedEntry, at: number): Buffer {
  const { content = Buffer.alloc(0), zip = {}, kind = 'file' } = entry;
  const packed = kind === 'directory' ? Buffer.alloc(0) : packedOf(entry);
  const name = Buffer.from(entry.name);
  const wide = typeof zip.offset === 'bigint';
  const extra = wide
    ? Buffer.concat([Buffer.from([1, 0, 8, 0]), u64(zip.offset as bigint)])
    : (zip.extra ?? Buffer.alloc(0));
  const head = Buffer.alloc(46);
  head.writeUInt32LE(0x02014b50, 0);
  head.writeUInt16LE(zip.madeBy ?? (3 << 8) | 63, 4);
  head.writeUInt16LE(20, 6);
  head.writeUInt16LE(zip.flags ?? 0x800, 8);
  head.writeUInt16LE(methodOf(entry), 10);
  head.writeUInt32LE(zip.crc ?? crc32(content), 16);
  head.writeUInt32LE(zip.packed ?? packed.length, 20);
  head.writeUInt32LE(zip.size ?? content.length, 24);
  head.writeUInt16LE(name.length, 28);
  head.writeUInt16LE(extra.length, 30);
  head.writeUInt32LE((zip.attributes ?? MODES[kind] << 16) >>> 0, 38);
  head.writeUInt32LE(wide ? 0xffff_ffff : typeof zip.offset === 'number' ? zip.offset : at, 42);
  return Buffer.concat([head, name, extra]);
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

function endOf(count: number, length: number, at: number, end: ZipEnd): Buffer {
  const comment = end.comment ?? Buffer.alloc(0);
  const wide = end.zip64 !== undefined || typeof end.entries === 'bigint' || typeof end.offset === 'bigint';
  const tail = Buffer.alloc(22);
  tail.writeUInt32LE(0x06054b50, 0);
  tail.writeUInt16LE(end.disk ?? 0, 4);
  tail.writeUInt16LE(wide ? 0xffff : Number(end.entries ?? count), 8);
  tail.writeUInt16LE(wide ? 0xffff : Number(end.entries ?? count), 10);
  tail.writeUInt32LE(length, 12);
  tail.writeUInt32LE(wide ? 0xffff_ffff : Number(end.offset ?? at), 16);
  tail.writeUInt16LE(comment.length, 20);
  if (!wide) return Buffer.concat([tail, comment]);
  const record = Buffer.alloc(56);
  record.writeUInt32LE(end.zip64?.signature ?? 0x06064b50, 0);
  record.writeBigUInt64LE(44n, 4);
  record.writeBigUInt64LE(BigInt(end.entries ?? count), 24);
  record.writeBigUInt64LE(BigInt(end.entries ?? count), 32);
  record.writeBigUInt64LE(BigInt(length), 40);
  record.writeBigUInt64LE(BigInt(end.offset ?? at), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(end.zip64?.offset ?? BigInt(at + length), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([record, locator, tail, comment]);
}

const TAR_TYPES = { file: '0', directory: '5', symlink: '2' } as const;

/** The tar without gzip, and with the blocks that end it. */
export function tarOf(entries: readonly CraftedEntry[]): Buffer {
  return Buffer.concat([...entries.map(tarEntry), Buffer.alloc(1024)]);
}

export function tarEntry(entry: CraftedEntry): Buffer {
  const { kind = 'file', tar = {} } = entry;
  // A link of a tar has no content.
  const content = kind === 'symlink' ? Buffer.alloc(0) : (entry.content ?? Buffer.alloc(0));
  const name = Buffer.from(entry.name);
  const shown =
    kind === 'directory' && !name.toString('latin1').endsWith('/') ? Buffer.concat([name, Buffer.from('/')]) : name;
  const pax = tar.pax === undefined ? Buffer.alloc(0) : paxOf(tar.pax);
  const head = tarHeader(shown, tar.type ?? TAR_TYPES[kind], tar.size ?? content.length, tar);
  return Buffer.concat([pax, head, padded(Buffer.from(content))]);
}

function tarHeader(name: Buffer, type: string, size: number | bigint, tar: NonNullable<CraftedEntry['tar']>): Buffer {
  const head = Buffer.alloc(512);
  name.copy(head, 0, 0, 100);
  head.write(`${(tar.mode ?? 0o644).toString(8).padStart(7, '0')}\0`, 100, 'latin1');
  head.write('0000000\0'.repeat(2), 108, 'latin1');
  if (typeof size === 'bigint') {
    head.writeUInt8(0x80, 124);
    head.writeBigUInt64BE(BigInt.asUintN(64, size), 128);
  } else head.write(`${size.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
  head.write('00000000000\0', 136, 'latin1');
  head.write(' '.repeat(8), 148, 'latin1');
  head.write(type, 156, 'latin1');
  head.write(tar.link ?? '', 157, 'utf8');
  head.write('ustar\0' + '00', 257, 'latin1');
  const sum = tar.checksum ?? head.reduce((total, byte) => total + byte, 0);
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return head;
}

export function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

function paxOf(fields: Readonly<Record<string, string>>): Buffer {
  const text = Object.entries(fields)
    .map(([key, value]) => {
      const body = ` ${key}=${value}\n`;
      let length = Buffer.byteLength(body) + 1;
      while (String(length).length + Buffer.byteLength(body) !== length) length++;
      return `${length}${body}`;
    })
    .join('');
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([tarHeader(Buffer.from('PaxHeader'), 'x', bytes.length, {}), padded(bytes)]);
}

export interface HeadOptions {
  manifest?: Partial<ArchiveManifest>;
  /** Changes the finished texts. */
  records?: (text: string) => string;
  checksums?: (text: string) => string;
  manifestText?: (text: string) => string;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The entries in front of an archive with these records, all of which agree with each other. */
export function headOf(records: readonly EntryRecord[], options: HeadOptions = {}): CraftedEntry[] {
  const same = (text: string): string => text;
  const files = records.filter((record) => record.kind === 'file');
  const totals = {
    entries: records.length,
    files: files.length,
    sizeBytes: files.reduce((sum, { size = 0 }) => sum + size, 0),
  };
  const manifest = encodeArchiveManifest({ ...manifestOf(), ...totals, ...options.manifest }).toString();
  const manifestBytes = Buffer.from((options.manifestText ?? same)(manifest));
  const lines = Buffer.from((options.records ?? same)(records.map((record) => `${encodeRecord(record)}\n`).join('')));
  const sums = [
    checksumLine(sha256(manifestBytes), MANIFEST_NAME),
    checksumLine(sha256(lines), RECORDS_NAME),
    ...files.map(({ sha256: hash = '', at, path }) => checksumLine(hash, at ?? path)),
  ];
  const checksums = (options.checksums ?? same)(sums.map((line) => `${line}\n`).join(''));
  return [
    { name: `${RESERVED_FOLDER}/`, kind: 'directory' },
    { name: MANIFEST_NAME, content: manifestBytes },
    { name: RECORDS_NAME, content: lines },
    { name: CHECKSUMS_NAME, content: Buffer.from(checksums) },
  ];
}

/** Entries and records of a sample as `export` would write them. */
export function craftedOf(entries: readonly SampleEntry[], options: HeadOptions = {}): CraftedEntry[] {
  const contents = entries.map(({ path, content, target }): CraftedEntry => {
    if (content !== undefined) return { name: path, content };
    if (target !== undefined)
      return { name: path, kind: 'symlink', content: Buffer.from(target), tar: { link: target } };
    return { name: `${path}/`, kind: 'directory' };
  });
  return [...headOf(entries.map(recordOf), options), ...contents];
}

export function tarGzOf(entries: readonly CraftedEntry[]): Buffer {
  return gzipSync(tarOf(entries));
}
