import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { BackupError, printable, systemErrorCode, throwIfCancelled } from '@foodsave-backup/kernel';
import { checksumLine, CHECKSUM_LINE_MAX } from '../checksums.ts';
import { archiveInvalid } from '../errors.ts';
import { ARCHIVE_LIMITS, DEFLATE_RATIO_MAX, RATIO_SLACK, type ArchiveLimits } from '../limits.ts';
import { linesOf } from '../lines.ts';
import { decodeArchiveManifest, type ArchiveManifest } from '../manifest.ts';
import { CHECKSUMS_NAME, MANIFEST_NAME, Placer, RECORDS_NAME, RESERVED_FOLDER } from '../names.ts';
import { decodeRecord, RecordOrder, type EntryRecord } from '../records.ts';
import { checkedContent, drain, type ArchiveFormat } from '../write/archive.ts';
import type { ArchiveItem, ItemReader } from './item.ts';
import { TarGzReader } from './tar.ts';
import { ZipReader } from './zip.ts';

export interface OpenArchiveOptions {
  signal: AbortSignal;
  limits?: Partial<ArchiveLimits>;
}

/** An entry of a pass over an archive. */
export interface ReadEntry {
  record: EntryRecord;
  /** Of a file: its bytes, read once and before the next entry; what nobody reads is checked all the same. */
  content?: AsyncIterable<Uint8Array>;
}

/** The order that all our archives have in front. */
const HEAD = [RESERVED_FOLDER, MANIFEST_NAME, RECORDS_NAME, CHECKSUMS_NAME];

/**
 * An archive that `export` wrote, for reading. Nothing is unpacked, and nothing but the manifest and one line of each list
 * is held: records, checksums and entries stand in one order, and are followed side by side with a pass over the file each.
 */
export class Archive {
  readonly format: ArchiveFormat;
  readonly manifest: ArchiveManifest;
  /** Bytes of the file. */
  readonly size: number;
  readonly #reader: ItemReader;
  readonly #limits: ArchiveLimits;
  readonly #signal: AbortSignal;

  private constructor(found: Found, manifest: ArchiveManifest, limits: ArchiveLimits, signal: AbortSignal) {
    this.format = found.format;
    this.size = found.size;
    this.#reader = found.reader;
    this.manifest = manifest;
    this.#limits = limits;
    this.#signal = signal;
  }

  /** Reads the manifest. Throws ARCHIVE_INVALID, FORMAT_TOO_NEW; SOURCE_MISSING or SOURCE_UNREADABLE for the file itself. */
  static async open(file: string, options: OpenArchiveOptions): Promise<Archive> {
    const limits = { ...ARCHIVE_LIMITS, ...options.limits };
    const found = await recognise(file, limits);
    const manifest = decodeArchiveManifest(await readManifest(found.reader, limits));
    const declared = manifest.sizeBytes;
    if (declared > found.size * DEFLATE_RATIO_MAX + RATIO_SLACK) {
      throw archiveInvalid(`${found.size} bytes cannot hold the ${declared} that it promises`);
    }
    return new Archive(found, manifest, limits, options.signal);
  }

  /**
   * One pass over everything: each content is compared with CRC, size and SHA-256, and manifest, records, checksums and
   * entries with each other. Whoever comes to its end has seen a whole archive. Throws ARCHIVE_INVALID.
   */
  async *entries(): AsyncGenerator<ReadEntry, void, undefined> {
    const { manifest } = this;
    const records = linesOf(contentAt(this.#reader, RECORDS_NAME), this.#limits.recordBytes, 'entries.jsonl');
    const checksums = new Checksums(linesOf(contentAt(this.#reader, CHECKSUMS_NAME), CHECKSUM_LINE_MAX, 'SHA256SUMS'));
    const items = this.#reader.items();
    const totals = { entries: 0, files: 0, sizeBytes: 0 };
    try {
      await checkHead(items, checksums);
      const complete = Object.entries(manifest.components).filter(([, c]) => c.status === 'complete');
      const order = new RecordOrder(
        complete.map(([instance]) => instance),
        this.#limits,
      );
      const placer = new Placer();
      for await (const line of records) {
        throwIfCancelled(this.#signal);
        const record = decodeRecord(line);
        order.next(record);
        const at = placer.place(record);
        if (record.at !== (at === record.path ? undefined : at)) {
          throw archiveInvalid(`"${printable(record.path)}" is said to lie where no export puts it`);
        }
        totals.entries++;
        if (record.kind === 'file') {
          totals.files++;
          totals.sizeBytes += record.size ?? 0;
          await checksums.expect(record.sha256 ?? '', at ?? '');
          if (totals.sizeBytes > manifest.sizeBytes) throw disagrees();
        }
        yield* pass(record, at === undefined ? undefined : await itemAt(items, record, at));
      }
      await checksums.end();
      const more = await items.next();
      if (more.done !== true) throw archiveInvalid(`"${printable(more.value.path)}" is in none of its lists`);
      const { entries, files, sizeBytes } = totals;
      if (entries !== manifest.entries || files !== manifest.files || sizeBytes !== manifest.sizeBytes) {
        throw disagrees();
      }
    } finally {
      await Promise.all([items.return(), records.return(), checksums.close()]);
    }
  }
}

function disagrees(): BackupError {
  return archiveInvalid('its manifest.json and entries.jsonl do not agree');
}

interface Found {
  format: ArchiveFormat;
  size: number;
  reader: ItemReader;
}

async function recognise(file: string, limits: ArchiveLimits): Promise<Found> {
  const handle = await openFile(file);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) {
      throw new BackupError('SOURCE_UNREADABLE', `"${printable(file)}" is not a file`, {
        hint: 'Name an archive that "export" wrote.',
      });
    }
    const head = Buffer.alloc(4);
    await handle.read(head, 0, 4, 0);
    if (head.readUInt32LE() === 0x04034b50)
      return { format: 'zip', size: stats.size, reader: new ZipReader(file, limits.entries) };
    if (head.readUInt16BE() === 0x1f8b) return { format: 'tar.gz', size: stats.size, reader: new TarGzReader(file) };
  } finally {
    await handle.close();
  }
  throw archiveInvalid('it is neither a ZIP nor a TAR.GZ', { hint: 'Name an archive that "export" wrote.' });
}

async function openFile(file: string): Promise<FileHandle> {
  try {
    return await open(file, 'r');
  } catch (error) {
    const missing = systemErrorCode(error) === 'ENOENT';
    throw new BackupError(
      missing ? 'SOURCE_MISSING' : 'SOURCE_UNREADABLE',
      missing
        ? `There is no file "${printable(file)}"`
        : `"${printable(file)}" cannot be read (${systemErrorCode(error) ?? 'unknown reason'})`,
      { hint: 'Check the path and the permissions of the archive.', cause: error },
    );
  }
}

/** The next of the entries in front, or what says that this is somebody else's archive. */
async function headItem(items: AsyncIterator<ArchiveItem, void>, path: string): Promise<ArchiveItem> {
  const next = await items.next();
  const kind = path === RESERVED_FOLDER ? 'directory' : 'file';
  if (next.done !== true && next.value.path === path && next.value.kind === kind) return next.value;
  throw archiveInvalid(`it does not begin with the folder ${RESERVED_FOLDER} as an export does`, {
    hint: 'Only archives that "export" wrote can be imported, as they were written: one that was packed again has another order.',
  });
}

async function readManifest(reader: ItemReader, limits: ArchiveLimits): Promise<Buffer> {
  const items = reader.items();
  try {
    await headItem(items, RESERVED_FOLDER);
    const { size, content } = await headItem(items, MANIFEST_NAME);
    if (size > limits.manifestBytes)
      throw archiveInvalid(`its manifest.json has ${size} bytes, and ${limits.manifestBytes} are the most`);
    const pieces: Uint8Array[] = [];
    for await (const piece of content()) pieces.push(piece);
    return Buffer.concat(pieces);
  } finally {
    await items.return();
  }
}

/** The content of one of the lists in front, from a pass of its own. */
async function* contentAt(reader: ItemReader, path: string): AsyncGenerator<Uint8Array, void, undefined> {
  const items = reader.items();
  try {
    for (const name of HEAD) {
      const item = await headItem(items, name);
      if (name !== path) continue;
      yield* item.content();
      return;
    }
  } finally {
    await items.return();
  }
}

/** Reads the entries in front once more, so that their CRCs count, and compares them with their checksums. */
async function checkHead(items: AsyncIterator<ArchiveItem, void>, checksums: Checksums): Promise<void> {
  for (const name of HEAD) {
    const item = await headItem(items, name);
    if (item.kind === 'directory') continue;
    const hash = createHash('sha256');
    for await (const piece of item.content()) hash.update(piece);
    // The file with the checksums does not hold its own.
    if (name !== CHECKSUMS_NAME) await checksums.expect(hash.digest('hex'), name);
  }
}

/** The lines of SHA256SUMS beside what they should be. */
class Checksums {
  readonly #lines: AsyncGenerator<Buffer, void, undefined>;

  constructor(lines: AsyncGenerator<Buffer, void, undefined>) {
    this.#lines = lines;
  }

  async expect(sha256: string, path: string): Promise<void> {
    const next = await this.#lines.next();
    if (next.done !== true && next.value.toString('utf8') === checksumLine(sha256, path)) return;
    throw archiveInvalid(`SHA256SUMS does not say of "${printable(path)}" what the archive does`);
  }

  async end(): Promise<void> {
    if ((await this.#lines.next()).done !== true)
      throw archiveInvalid('SHA256SUMS has lines for files that are not there');
  }

  async close(): Promise<void> {
    await this.#lines.return();
  }
}

async function itemAt(items: AsyncIterator<ArchiveItem, void>, record: EntryRecord, at: string): Promise<ArchiveItem> {
  const next = await items.next();
  if (next.done === true) throw archiveInvalid(`"${printable(at)}" is missing from it`);
  const item = next.value;
  if (item.path !== at) {
    throw archiveInvalid(`"${printable(item.path)}" stands where entries.jsonl has "${printable(at)}"`);
  }
  const same =
    item.kind === record.kind &&
    (item.kind !== 'file' || item.size === record.size) &&
    (item.kind !== 'symlink' || item.target === record.target);
  if (!same) throw archiveInvalid(`"${printable(at)}" is not what entries.jsonl says of it`);
  return item;
}

async function* pass(record: EntryRecord, item: ArchiveItem | undefined): AsyncGenerator<ReadEntry, void, undefined> {
  if (item?.kind !== 'file') {
    yield { record };
    return;
  }
  const content = asInvalid(checkedContent(record, item.content(), () => undefined));
  yield { record, content };
  // Also for whoever stopped in the middle: what is not read is not checked.
  await drain(content);
}

async function* asInvalid(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* content;
  } catch (error) {
    if (error instanceof BackupError && error.code === 'DATA_DAMAGED')
      throw archiveInvalid(error.message, { cause: error });
    throw error;
  }
}
