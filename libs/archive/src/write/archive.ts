import { createHash } from 'node:crypto';
import type { Writable } from 'node:stream';
import { assert, BackupError, printable, throwIfCancelled } from '@foodsave-backup/kernel';
import { checksumLine } from '../checksums.ts';
import { SMALL_ARCHIVE_BYTES, SMALL_ARCHIVE_ENTRIES } from '../limits.ts';
import { encodeArchiveManifest, type ArchiveManifest } from '../manifest.ts';
import { CHECKSUMS_NAME, MANIFEST_NAME, Placer, RECORDS_NAME, RESERVED_FOLDER } from '../names.ts';
import { encodeRecord, type EntryRecord } from '../records.ts';
import { TarGzWriter } from './tar.ts';
import type { ArchiveWriter, EntryLook } from './writer.ts';

export type ArchiveFormat = 'zip' | 'tar.gz';

export interface SourceEntry {
  /** Without `at`. */
  record: EntryRecord;
  /** The bytes of a file, of whatever length and hash: they are compared with its record. */
  content?: () => AsyncIterable<Uint8Array>;
}

/** A backup that is to become an archive. */
export interface ArchiveSource {
  /** Without the totals, which are counted. */
  manifest: Omit<ArchiveManifest, 'entries' | 'files' | 'sizeBytes'>;
  /** In the order of a dump. Asked for four times, the same each time: nothing is kept in between. */
  entries(): AsyncIterable<SourceEntry>;
}

export interface WriteOptions {
  signal: AbortSignal;
  /** Told the bytes of contents as they are written, and each file that is done. */
  progress?: (path: string, bytes: number, files: number) => void;
}

export interface ArchiveTotals {
  entries: number;
  files: number;
  sizeBytes: number;
}

interface Counted extends ArchiveTotals {
  recordsBytes: number;
  recordsHash: string;
  checksumsBytes: number;
  /** JSZip keeps its entries in an object, which puts names like numbers first. */
  numeric: boolean;
}

/**
 * Writes an archive: manifest, records, checksums, then the contents in the order of the records. Memory does not grow
 * with the number of entries, but for the central directory of a ZIP. Throws DATA_DAMAGED for the first file that is not
 * what its record says; the stream is then destroyed, never ended.
 */
export async function writeArchive(
  format: ArchiveFormat,
  source: ArchiveSource,
  out: Writable,
  options: WriteOptions,
): Promise<ArchiveTotals> {
  const counted = await count(source, options.signal);
  const { entries, files, sizeBytes } = counted;
  const writer = await writerFor(format, counted, out, options.signal);
  try {
    await writeAll(writer, source, counted, options);
    await writer.finish();
  } catch (error) {
    await writer.abort(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
  return { entries, files, sizeBytes };
}

/** Libraries for ZIP are loaded when one is written. */
async function writerFor(
  format: ArchiveFormat,
  { sizeBytes, entries, recordsBytes, numeric }: Counted,
  out: Writable,
  signal: AbortSignal,
): Promise<ArchiveWriter> {
  if (format === 'tar.gz') return new TarGzWriter(out, signal);
  const small = sizeBytes + recordsBytes < SMALL_ARCHIVE_BYTES && entries <= SMALL_ARCHIVE_ENTRIES && !numeric;
  if (small) return new (await import('./small-zip.ts')).SmallZipWriter(out, signal);
  return new (await import('./zip.ts')).ZipWriter(out, signal);
}

async function count(source: ArchiveSource, signal: AbortSignal): Promise<Counted> {
  const hash = createHash('sha256');
  const counted: Counted = {
    entries: 0,
    files: 0,
    sizeBytes: 0,
    recordsBytes: 0,
    recordsHash: '',
    checksumsBytes: 0,
    numeric: false,
  };
  for await (const { record, at } of placed(source, signal)) {
    const line = `${encodeRecord(record)}\n`;
    hash.update(line);
    counted.recordsBytes += Buffer.byteLength(line);
    counted.entries++;
    if (at !== undefined) counted.numeric ||= /^\d+$/.test(at);
    if (record.kind !== 'file') continue;
    counted.files++;
    counted.sizeBytes += record.size ?? 0;
    counted.checksumsBytes += Buffer.byteLength(checksumLine(record.sha256 ?? '', at ?? '')) + 1;
  }
  counted.recordsHash = hash.digest('hex');
  return counted;
}

interface Placed extends SourceEntry {
  at: string | undefined;
}

async function* placed(source: ArchiveSource, signal: AbortSignal): AsyncGenerator<Placed> {
  const placer = new Placer();
  for await (const entry of source.entries()) {
    throwIfCancelled(signal);
    const { record } = entry;
    const at = placer.place(record);
    yield { ...entry, record: at === undefined || at === record.path ? record : { ...record, at }, at };
  }
}

async function writeAll(
  writer: ArchiveWriter,
  source: ArchiveSource,
  counted: Counted,
  options: WriteOptions,
): Promise<void> {
  const { signal } = options;
  const { entries, files, sizeBytes } = counted;
  const manifest = encodeArchiveManifest({ ...source.manifest, entries, files, sizeBytes });
  const heads = [
    `${checksumLine(sha256(manifest), MANIFEST_NAME)}\n`,
    `${checksumLine(counted.recordsHash, RECORDS_NAME)}\n`,
  ];
  const look: EntryLook = { mode: 0o644, mtimeNs: BigInt(Date.parse(source.manifest.exportedAt)) * 1_000_000n };
  await writer.directory(RESERVED_FOLDER, { ...look, mode: 0o755 });
  await writer.file({ path: MANIFEST_NAME, size: manifest.length, look, content: () => pieces([manifest.toString()]) });
  await writer.file({
    path: RECORDS_NAME,
    size: counted.recordsBytes,
    look,
    content: () => batched(lines(placed(source, signal), ({ record }) => encodeRecord(record))),
  });
  await writer.file({
    path: CHECKSUMS_NAME,
    size: counted.checksumsBytes + Buffer.byteLength(heads.join('')),
    look,
    content: () =>
      batched(
        lines(
          placed(source, signal),
          ({ record, at }) => (record.kind === 'file' ? checksumLine(record.sha256 ?? '', at ?? '') : undefined),
          heads,
        ),
      ),
  });
  for await (const entry of placed(source, signal)) await writeEntry(writer, entry, options);
}

async function writeEntry(
  writer: ArchiveWriter,
  { record, content, at }: Placed,
  { progress }: WriteOptions,
): Promise<void> {
  if (at === undefined) return;
  const look = lookOf(record);
  if (record.kind === 'directory') await writer.directory(at, look);
  else if (record.kind === 'symlink') await writer.symlink(at, record.target ?? '', look);
  else {
    assert(content !== undefined, 'a file has a content');
    const checked = (): AsyncGenerator<Uint8Array> =>
      checkedContent(record, content(), (bytes) => progress?.(record.path, bytes, 0));
    await writer.file({ path: at, size: record.size ?? 0, look, content: checked });
    progress?.(record.path, 0, 1);
  }
}

/** Of the first component that has it. */
function lookOf(record: EntryRecord): EntryLook {
  const [meta] = Object.values(record.in);
  const look: EntryLook = { mode: meta?.mode ?? 0o644, mtimeNs: BigInt(meta?.mtimeNs ?? 0) };
  const uid = meta?.['uid'];
  const gid = meta?.['gid'];
  if (typeof uid === 'number') look.uid = uid;
  if (typeof gid === 'number') look.gid = gid;
  return look;
}

/** The content, compared with size and SHA-256 of its record on the way. Throws DATA_DAMAGED. */
export async function* checkedContent(
  record: EntryRecord,
  content: AsyncIterable<Uint8Array>,
  seen: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const piece of content) {
    hash.update(piece);
    size += piece.length;
    if (size > (record.size ?? 0)) break;
    seen(piece.length);
    yield piece;
  }
  const reason =
    size !== record.size
      ? `it does not have the ${record.size ?? 0} bytes that it should have`
      : hash.digest('hex') === record.sha256
        ? undefined
        : 'its SHA-256 does not match';
  if (reason === undefined) return;
  throw new BackupError('DATA_DAMAGED', `"${printable(record.path)}" is damaged: ${reason}`, {
    details: { path: record.path },
  });
}

/** Reads to the end. */
export async function drain(content: AsyncIterable<Uint8Array>): Promise<void> {
  const pieces = content[Symbol.asyncIterator]();
  while ((await pieces.next()).done !== true);
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function* lines(
  entries: AsyncIterable<Placed>,
  line: (entry: Placed) => string | undefined,
  heads: readonly string[] = [],
): AsyncGenerator<string> {
  yield* heads;
  for await (const entry of entries) {
    const text = line(entry);
    if (text !== undefined) yield `${text}\n`;
  }
}

const BATCH_CHARS = 64 * 1024;

/** Many short lines as few pieces. */
async function* batched(texts: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  let batch: string[] = [];
  let length = 0;
  for await (const text of texts) {
    batch.push(text);
    length += text.length;
    if (length < BATCH_CHARS) continue;
    yield Buffer.from(batch.join(''), 'utf8');
    batch = [];
    length = 0;
  }
  if (batch.length > 0) yield Buffer.from(batch.join(''), 'utf8');
}

async function* pieces(texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield await Promise.resolve(Buffer.from(text, 'utf8'));
}
