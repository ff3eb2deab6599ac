import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import JSZip from 'jszip';
import { throwIfCancelled } from '@foodsave-backup/kernel';
import { bytesOf, type ArchiveWriter, type EntryLook, type FileToWrite } from './writer.ts';
import { isWorthIt, zipDate } from './zip.ts';

/** ZIP of an archive that fits in memory, with its sizes in front of each content as the oldest tools want them. */
export class SmallZipWriter implements ArchiveWriter {
  readonly #zip = new JSZip();
  readonly #out: Writable;
  readonly #signal: AbortSignal;

  constructor(out: Writable, signal: AbortSignal) {
    // As in `Output`.
    out.on('error', () => undefined);
    this.#out = out;
    this.#signal = signal;
  }

  directory(path: string, look: EntryLook): Promise<void> {
    this.#zip.file(`${path}/`, null, { ...options(look), dir: true });
    return Promise.resolve();
  }

  symlink(path: string, target: string, look: EntryLook): Promise<void> {
    this.#zip.file(path, target, { ...options(look), unixPermissions: 0o120000 | look.mode });
    return Promise.resolve();
  }

  async file({ path, look, content }: FileToWrite): Promise<void> {
    const bytes = await bytesOf(content(), this.#signal);
    this.#zip.file(path, bytes, { ...options(look), compression: isWorthIt(bytes) ? 'DEFLATE' : 'STORE' });
  }

  async finish(): Promise<void> {
    throwIfCancelled(this.#signal);
    const stream = this.#zip.generateNodeStream({ platform: 'UNIX', streamFiles: false }) as Readable;
    // JSZip's stream is one of another implementation; Node's own reads it by its pieces.
    await pipeline(stream, this.#out, { signal: this.#signal });
  }

  abort(error: Error): Promise<void> {
    this.#out.destroy(error);
    return Promise.resolve();
  }
}

/** JSZip takes the UTC parts of a date for the local ones that ZIP knows: shifted, so that it shows the local time. */
function options({ mode, mtimeNs }: EntryLook): { date: Date; unixPermissions: number; createFolders: false } {
  const date = zipDate(mtimeNs);
  return {
    date: new Date(date.getTime() - date.getTimezoneOffset() * 60_000),
    unixPermissions: mode,
    createFolders: false,
  };
}
