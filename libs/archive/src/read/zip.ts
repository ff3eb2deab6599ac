import { isUtf8 } from 'node:buffer';
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { crc32, inflateRaw } from 'node:zlib';
import { printable } from '@foodsave-backup/kernel';
import {
  fromRandomAccessReader,
  RandomAccessReader,
  type Entry,
  type LocalFileHeader,
  type Options,
  type ZipFile,
} from 'yauzl';
import { archiveInvalid, readFailure } from '../errors.ts';
import { TARGET_MAX, type ArchiveItem, type ItemReader } from './item.ts';

const inflate = promisify(inflateRaw);

/** Contents up to this size, both ways, are taken in one piece. */
const PIECE_BYTES = 1024 * 1024;
const STORED = 0;
const DEFLATED = 8;
const UNIX = 3;
/** General purpose bits: encrypted, sizes after the data, strong encryption, masked headers. */
const ENCRYPTED_BITS = 0x2041;
const SIZES_FOLLOW = 0x8;
const UNKNOWN_32 = 0xffff_ffff;
const UNICODE_PATH = 0x7075;

/** Reads within a file and nowhere else: offsets of a hostile archive are anything that 64 bits hold. */
class BoundedReader extends RandomAccessReader {
  readonly #handle: FileHandle;
  readonly #size: number;

  constructor(handle: FileHandle, size: number) {
    super();
    this.#handle = handle;
    this.#size = size;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    if (!this.#holds(position, length)) {
      setImmediate(callback, new Error('an offset points outside of the file'));
      return;
    }
    this.#handle.read(buffer, offset, length, position).then(
      ({ bytesRead }) => {
        // Not inside the promise: what the callback throws is not a failure of the read.
        setImmediate(callback, null, bytesRead);
      },
      (error: unknown) => {
        setImmediate(callback, error instanceof Error ? error : new Error(String(error)));
      },
    );
  }

  override createReadStream({ start, end }: { start: number; end: number }): Readable {
    return this._readStreamForRange(start, end);
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return Readable.from(this.#range(start, end), { objectMode: false });
  }

  async *#range(start: number, end: number): AsyncGenerator<Buffer> {
    if (!this.#holds(start, end - start)) throw new Error('an offset points outside of the file');
    for (let at = start; at < end;) {
      const buffer = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, end - at));
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) throw new Error('the file ends before its end');
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  }

  #holds(position: number, length: number): boolean {
    return Number.isSafeInteger(position) && position >= 0 && length >= 0 && position + length <= this.#size;
  }
}

/**
 * The entries of a ZIP in the order of its central directory. Refused: entries whose data overlaps or stands in another
 * order, local headers that contradict the directory, encryption, methods other than stored and deflated.
 */
export class ZipReader implements ItemReader {
  readonly #file: string;
  readonly #entriesMax: number;

  constructor(file: string, entriesMax: number) {
    this.#file = file;
    this.#entriesMax = entriesMax;
  }

  async *items(): AsyncGenerator<ArchiveItem, void, undefined> {
    const handle = await open(this.#file, 'r');
    try {
      const { size } = await handle.stat();
      const zip = await openZip(new BoundedReader(handle, size), size);
      // Beside what the records name there are four entries of our own.
      if (zip.entryCount > this.#entriesMax + 4) {
        throw archiveInvalid(`it has ${zip.entryCount} entries, and ${this.#entriesMax} are the most`);
      }
      let end = 0;
      for await (const entry of zip.eachEntry()) {
        const header = await localHeader(zip, entry);
        if (entry.relativeOffsetOfLocalHeader < end) throw archiveInvalid('entries of the ZIP overlap');
        end = header.fileDataStart + entry.compressedSize;
        yield await itemOf(zip, entry, header);
      }
    } catch (error) {
      throw readFailure(error, 'the ZIP');
    } finally {
      await handle.close();
    }
  }
}

function openZip(reader: BoundedReader, size: number): Promise<ZipFile> {
  const options: Options = { autoClose: false, lazyEntries: true, decodeStrings: false, validateEntrySizes: true };
  return new Promise((resolve, reject) => {
    fromRandomAccessReader(reader, size, options, (error, zip) => {
      if (error === null) resolve(zip);
      else reject(error);
    });
  });
}

async function localHeader(zip: ZipFile, entry: Entry): Promise<LocalFileHeader> {
  const local = await zip.readLocalFileHeaderPromise(entry);
  const { crc32: crc, compressedSize, uncompressedSize } = local;
  const later = (local.generalPurposeBitFlag & SIZES_FOLLOW) !== 0;
  const same = (a: number, b: number): boolean => a === b || a === UNKNOWN_32 || (later && a === 0);
  const agrees =
    local.fileName.equals(entry.fileNameRaw) &&
    local.compressionMethod === entry.compressionMethod &&
    local.generalPurposeBitFlag === entry.generalPurposeBitFlag &&
    (crc === entry.crc32 || (later && crc === 0)) &&
    same(compressedSize, entry.compressedSize) &&
    same(uncompressedSize, entry.uncompressedSize);
  if (!agrees) throw archiveInvalid('a local header of the ZIP contradicts its central directory');
  return local;
}

async function itemOf(zip: ZipFile, entry: Entry, header: LocalFileHeader): Promise<ArchiveItem> {
  const name = nameOf(entry);
  const { uncompressedSize: size } = entry;
  if ((entry.generalPurposeBitFlag & ENCRYPTED_BITS) !== 0) throw archiveInvalid(`"${printable(name)}" is encrypted`);
  if (entry.compressionMethod !== STORED && entry.compressionMethod !== DEFLATED) {
    throw archiveInvalid(`"${printable(name)}" is compressed in a way that no export uses`);
  }
  const content = (): AsyncIterable<Uint8Array> => contentOf(zip, entry, header);
  const type = entry.versionMadeBy >> 8 === UNIX ? (entry.externalFileAttributes >>> 28) & 0xf : 0;
  if (name.endsWith('/')) {
    if (size !== 0 || (type !== 0 && type !== 4)) throw archiveInvalid(`"${printable(name)}" is no directory`);
    return { path: name.slice(0, -1), kind: 'directory', size: 0, content };
  }
  if (type === 0xa) {
    if (size > TARGET_MAX) throw archiveInvalid(`the link "${printable(name)}" is too long`);
    const pieces: Uint8Array[] = [];
    for await (const piece of content()) pieces.push(piece);
    return { path: name, kind: 'symlink', size, target: textOf(Buffer.concat(pieces)), content };
  }
  if (type !== 0 && type !== 8)
    throw archiveInvalid(`"${printable(name)}" is neither a file nor a directory nor a link`);
  return { path: name, kind: 'file', size, content };
}

function nameOf(entry: Entry): string {
  const name = textOf(entry.fileNameRaw);
  const other = entry.extraFields.find((field) => field.id === UNICODE_PATH);
  // Version and CRC stand before the name; JSZip writes this field for tools that do not know the bit for UTF-8.
  if (other !== undefined && !other.data.subarray(5).equals(entry.fileNameRaw)) {
    throw archiveInvalid(`"${printable(name)}" has two names`);
  }
  return name;
}

function textOf(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw archiveInvalid('a name in the ZIP is not UTF-8');
  return bytes.toString('utf8');
}

async function* contentOf(zip: ZipFile, entry: Entry, header: LocalFileHeader): AsyncGenerator<Uint8Array> {
  let crc = 0;
  let size = 0;
  try {
    for await (const piece of rawContent(zip, entry, header)) {
      crc = crc32(piece, crc);
      size += piece.length;
      yield piece;
    }
  } catch (error) {
    throw readFailure(error, 'an entry of the ZIP');
  }
  if (size !== entry.uncompressedSize)
    throw archiveInvalid('an entry of the ZIP has another size than its header says');
  if (crc !== entry.crc32) throw archiveInvalid('the CRC of an entry of the ZIP does not match');
}

/** At most as many bytes as the header says. */
async function* rawContent(zip: ZipFile, entry: Entry, header: LocalFileHeader): AsyncGenerator<Uint8Array> {
  const { compressedSize, uncompressedSize, compressionMethod } = entry;
  const stream = await new Promise<Readable>((resolve, reject) => {
    const small = compressedSize <= PIECE_BYTES && uncompressedSize <= PIECE_BYTES;
    const decompress = compressionMethod === DEFLATED && !small;
    const { fileDataStart } = header;
    const size = decompress ? uncompressedSize : null;
    zip.openReadStreamLowLevel(fileDataStart, compressedSize, 0, compressedSize, decompress, size, (error, opened) => {
      if (error === null) resolve(opened);
      else reject(error);
    });
  });
  if (compressionMethod === STORED || compressedSize > PIECE_BYTES || uncompressedSize > PIECE_BYTES) {
    yield* stream as AsyncIterable<Uint8Array>;
    return;
  }
  const pieces: Uint8Array[] = [];
  for await (const piece of stream as AsyncIterable<Uint8Array>) pieces.push(piece);
  yield await inflate(Buffer.concat(pieces), { maxOutputLength: Math.max(1, uncompressedSize) });
}
