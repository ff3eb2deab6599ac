import { Readable, type Writable } from 'node:stream';
import { deflateRawSync } from 'node:zlib';
import { ZipFile } from 'yazl';
import { assert, throwIfCancelled } from '@foodsave-backup/kernel';
import { Output } from './output.ts';
import { bytesOf, dateOf, type ArchiveWriter, type EntryLook, type FileToWrite } from './writer.ts';

/** A file up to this size is compressed in one piece, several at once. */
const PIECE_BYTES = 1024 * 1024;
const WAITING_MAX = 16;
const SAMPLE_BYTES = 16 * 1024;

const FILE = 0o100000;
const DIRECTORY = 0o040000;
const LINK = 0o120000;
/** yazl's FILE_DATA_DONE. */
const DONE = 3;

/**
 * yazl looks through all entries from the first whenever one is finished, which takes the square of their number, and keeps
 * each with its compressed content and more until the end. Those that are done are kept aside as the bytes of their records
 * in the directory. None of this is part of its documented interface: the version is pinned, and a test writes many entries.
 */
interface Internals {
  entries: Entry[];
}

interface Entry {
  readonly state: number;
  getCentralDirectoryRecord(): Buffer;
}

/** Records lie together in pieces of so many bytes. */
const RECORDS_BYTES = 64 * 1024;

class DoneEntry implements Entry {
  readonly state = DONE;
  readonly #records: Buffer;
  readonly #start: number;
  readonly #end: number;

  constructor(records: Buffer, start: number, end: number) {
    this.#records = records;
    this.#start = start;
    this.#end = end;
  }

  getCentralDirectoryRecord(): Buffer {
    return this.#records.subarray(this.#start, this.#end);
  }
}

/** What is done, in order. */
class DoneEntries {
  readonly entries: Entry[] = [];
  #records = Buffer.alloc(0);
  #used = 0;

  add(entry: Entry): void {
    const record = entry.getCentralDirectoryRecord();
    if (this.#used + record.length > this.#records.length) {
      this.#records = Buffer.alloc(Math.max(RECORDS_BYTES, record.length));
      this.#used = 0;
    }
    record.copy(this.#records, this.#used);
    this.entries.push(new DoneEntry(this.#records, this.#used, this.#used + record.length));
    this.#used += record.length;
  }
}

/** ZIP as a stream, with ZIP64 where sizes, offsets or the number of entries need it. */
export class ZipWriter implements ArchiveWriter {
  readonly #zip = new ZipFile();
  readonly #internals: Internals;
  readonly #done = new DoneEntries();
  readonly #output: Output;
  readonly #signal: AbortSignal;

  constructor(out: Writable, signal: AbortSignal) {
    this.#signal = signal;
    this.#internals = this.#zip as unknown as Internals;
    assert(Array.isArray(this.#internals.entries), 'yazl keeps its entries in an array');
    const source = this.#zip.outputStream as Readable;
    source.on('error', () => undefined);
    this.#output = new Output(() => source, [], out);
    this.#zip.once('error', (error) => {
      this.#output.fail(error);
    });
  }

  async directory(path: string, look: EntryLook): Promise<void> {
    this.#zip.addEmptyDirectory(path, options(look, DIRECTORY));
    await this.#settle(WAITING_MAX);
  }

  async symlink(path: string, target: string, look: EntryLook): Promise<void> {
    this.#zip.addBuffer(Buffer.from(target, 'utf8'), path, { ...options(look, LINK), compress: false });
    await this.#settle(WAITING_MAX);
  }

  async file({ path, size, look, content }: FileToWrite): Promise<void> {
    if (size <= PIECE_BYTES) {
      const bytes = await bytesOf(content(), this.#signal);
      this.#zip.addBuffer(bytes, path, { ...options(look, FILE), compress: isWorthIt(bytes) });
      await this.#settle(WAITING_MAX);
      return;
    }
    await this.#settle(0);
    const { first, all } = await headOf(content());
    const stream = Readable.from(all, { objectMode: false, highWaterMark: 1024 * 1024 });
    const broken = new Promise<never>((_resolve, reject) => {
      stream.once('error', reject);
    });
    broken.catch(() => undefined);
    this.#zip.addReadStream(stream, path, { ...options(look, FILE), size, compress: isWorthIt(first) });
    await Promise.race([this.#settle(0), broken]);
  }

  /** Waits until at most `max` entries are not yet in the stream, and the stream has room. */
  async #settle(max: number): Promise<void> {
    const { entries } = this.#internals;
    for (;;) {
      throwIfCancelled(this.#signal);
      let done = 0;
      while (done < entries.length && entries[done]?.state === DONE) done++;
      for (const entry of entries.splice(0, done)) this.#done.add(entry);
      if (entries.length <= max && !(this.#zip.outputStream as Readable & Writable).writableNeedDrain) return;
      await this.#output.moved();
    }
  }

  async finish(): Promise<void> {
    await this.#settle(0);
    this.#internals.entries = this.#done.entries;
    this.#zip.end();
    await this.#output.during(this.#output.finished());
  }

  abort(error: Error): Promise<void> {
    return this.#output.abort(error);
  }
}

function options(look: EntryLook, type: number): { mtime: Date; mode: number } {
  return { mtime: zipDate(look.mtimeNs), mode: type | look.mode };
}

/** ZIP knows the years 1980 to 2107. */
export function zipDate(mtimeNs: bigint): Date {
  const ms = dateOf(mtimeNs).getTime();
  return new Date(Math.min(Math.max(ms, Date.UTC(1980, 0, 2)), Date.UTC(2107, 11, 30)));
}

/** Photos and archives are stored as they are: to deflate them takes long and saves nothing. */
export function isWorthIt(bytes: Uint8Array): boolean {
  if (bytes.length < 64) return false;
  const sample = bytes.subarray(0, SAMPLE_BYTES);
  return deflateRawSync(sample, { level: 1 }).length < sample.length * 0.97;
}

/** The first piece of a content, and the content as a whole. */
async function headOf(
  content: AsyncIterable<Uint8Array>,
): Promise<{ first: Uint8Array; all: AsyncIterable<Uint8Array> }> {
  const iterator = content[Symbol.asyncIterator]();
  const head = await iterator.next();
  const first = head.done === true ? new Uint8Array() : head.value;
  async function* all(): AsyncGenerator<Uint8Array> {
    try {
      if (head.done !== true) yield first;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return { first, all: all() };
}
