import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createGunzip, type Gunzip } from 'node:zlib';
import { extract, type Extract, type Header } from 'tar-stream';
import { printable } from '@foodsave-backup/kernel';
import { archiveInvalid, readFailure } from '../errors.ts';
import { TARGET_MAX, type ArchiveItem, type ItemReader } from './item.ts';

const READ_BYTES = 256 * 1024;
const BLOCK = 512;

/** What tar-stream knows of a header beside its types. */
interface RawHeader extends Header {
  /** Where the data begins, in the unpacked stream. */
  byteOffset: number;
}

/** The entries of a gzipped tar, front to back. Refused: everything but files, directories and symbolic links. */
export class TarGzReader implements ItemReader {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  async *items(): AsyncGenerator<ArchiveItem, void, undefined> {
    const source = createReadStream(this.#file, { highWaterMark: READ_BYTES });
    const gunzip = createGunzip({ chunkSize: READ_BYTES });
    source.once('error', (error) => gunzip.destroy(error));
    source.pipe(gunzip);
    const tar = extract();
    const fed = feed(gunzip, tar);
    // Whoever reads hears of it through the tar; it is awaited below all the same.
    fed.catch(() => undefined);
    try {
      let end = 0;
      for await (const entry of tar) {
        const header = entry.header as RawHeader;
        // Only headers for long names and times stand between an entry and the next; a tool may stop at a block of zeros.
        const start = header.byteOffset - BLOCK;
        if (start !== end && !header.pax) {
          throw archiveInvalid('something stands between two entries of the tar');
        }
        yield itemOf(header, entry);
        end = header.byteOffset + Math.ceil(header.size / BLOCK) * BLOCK;
        // What nobody read is passed over.
        entry.resume();
      }
      await fed;
      if (gunzip.bytesWritten !== (await stat(this.#file)).size)
        throw archiveInvalid('something stands behind its end');
    } catch (error) {
      throw readFailure(error, 'the TAR.GZ');
    } finally {
      tar.destroy();
      gunzip.destroy();
      source.destroy();
      await fed.catch(() => undefined);
    }
  }
}

/** The unpacked bytes into the reader, as it takes them. */
async function feed(gunzip: Gunzip, tar: Extract): Promise<void> {
  try {
    for await (const piece of gunzip as AsyncIterable<Uint8Array>) {
      if (tar.destroyed) return;
      if (!tar.write(piece)) await room(tar);
    }
    tar.end(null);
  } catch (error) {
    tar.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
}

/**
 * Resolves when the reader takes more, or is gone. Not a race with one promise for the whole archive: each race would stay with
 * that promise until the end.
 */
function room(tar: Extract): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      tar.off('drain', done);
      tar.off('close', done);
      resolve();
    };
    tar.once('drain', done);
    tar.once('close', done);
  });
}

function itemOf(header: RawHeader, entry: AsyncIterable<unknown>): ArchiveItem {
  const { name, type, size, linkname, pax } = header;
  const shown = printable(name);
  if (Object.keys(pax ?? {}).some((key) => key.startsWith('GNU.sparse'))) {
    throw archiveInvalid(`"${shown}" is a sparse entry, which no export writes`);
  }
  if (!Number.isSafeInteger(size) || size < 0) throw archiveInvalid(`"${shown}" has no valid size`);
  const content = (): AsyncIterable<Uint8Array> => contentOf(entry, size);
  if (type === 'directory' && size === 0) return { path: name.replace(/\/$/, ''), kind: 'directory', size: 0, content };
  if (type === 'symlink' && size === 0) {
    if (!linkname || Buffer.byteLength(linkname) > TARGET_MAX)
      throw archiveInvalid(`the link "${shown}" points nowhere`);
    return { path: name, kind: 'symlink', size: 0, target: linkname, content };
  }
  if (type !== 'file') throw archiveInvalid(`"${shown}" is neither a file nor a directory nor a symbolic link`);
  return { path: name, kind: 'file', size, content };
}

async function* contentOf(entry: AsyncIterable<unknown>, size: number): AsyncGenerator<Uint8Array> {
  let read = 0;
  try {
    for await (const piece of entry as AsyncIterable<Uint8Array>) {
      read += piece.length;
      yield piece;
    }
  } catch (error) {
    throw readFailure(error, 'an entry of the TAR.GZ');
  }
  if (read !== size) throw archiveInvalid('an entry of the tar ends before its end');
}
