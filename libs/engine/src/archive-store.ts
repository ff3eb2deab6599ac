import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeName } from '@foodsave-backup/component';
import { assert } from '@foodsave-backup/kernel';
import type { EntryRecord } from '@foodsave-backup/archive';
import type { ComponentTotals, ComponentWriter, PageSource } from '@foodsave-backup/repository';
import { decodeMeta, type ArchivedMeta } from './archive-meta.ts';
import { pathToNames } from './names-path.ts';

const NOTHING: ComponentTotals = { files: 0, directories: 0, links: 0, sizeBytes: 0, storedBytes: 0 };
const PIECE_BYTES = 1024 * 1024;

/** Stores the entries of an archive, each in the components that have it. */
export class ArchiveStore {
  readonly #scratch: string;
  readonly #writers = new Map<string, ComponentWriter>();
  readonly #writerOf: (type: string, instance: string) => ComponentWriter;

  constructor(scratch: string, writerOf: (type: string, instance: string) => ComponentWriter) {
    this.#scratch = scratch;
    this.#writerOf = writerOf;
  }

  #writer(instance: string): ComponentWriter {
    let writer = this.#writers.get(instance);
    if (writer === undefined) {
      const [type = ''] = instance.split(':');
      writer = this.#writerOf(type, instance);
      this.#writers.set(instance, writer);
    }
    return writer;
  }

  /** `progress` is told the bytes of the content once, however many components share it. */
  async add(
    record: EntryRecord,
    content: AsyncIterable<Uint8Array> | undefined,
    progress: (bytes: number) => void,
  ): Promise<void> {
    const { path, kind, target = '' } = record;
    const names = pathToNames(path);
    const instances = Object.entries(record.in).map(([instance, meta]) => ({
      writer: this.#writer(instance),
      meta: decodeMeta(path, meta),
    }));
    if (kind === 'directory') {
      for (const { writer, meta } of instances) writer.addDirectory(names, meta);
      return;
    }
    if (kind === 'symlink') {
      for (const { writer, meta } of instances) writer.addLink(names, meta, encodeName(target));
      return;
    }
    if (kind === 'fifo') {
      for (const { writer, meta } of instances) writer.addFifo(names, meta);
      return;
    }
    assert(content !== undefined, 'a file of an archive has a content');
    const [only, ...others] = instances;
    if (only !== undefined && others.length === 0) {
      await addFile(only.writer, record, only.meta, content, progress);
      return;
    }
    const copy = join(this.#scratch, 'shared');
    await spool(copy, content, progress);
    for (const { writer, meta } of instances) await addFile(writer, record, meta, piecesOf(copy), () => undefined);
    await rm(copy);
  }

  /** Ids of the root nodes of all components that have entries. */
  async finish(): Promise<Map<string, Buffer>> {
    const roots = new Map<string, Buffer>();
    for (const [instance, writer] of this.#writers) roots.set(instance, await writer.finish());
    return roots;
  }

  /** Final when the session's packs are finished. */
  totals(instance: string): ComponentTotals {
    return this.#writers.get(instance)?.totals() ?? NOTHING;
  }
}

async function addFile(
  writer: ComponentWriter,
  record: EntryRecord,
  { pageSize, changedWhileRead, link, ...meta }: ArchivedMeta,
  content: AsyncIterable<Uint8Array>,
  progress: (bytes: number) => void,
): Promise<void> {
  const names = pathToNames(record.path);
  const size = record.size ?? 0;
  if (pageSize !== undefined) {
    await writer.addPaged(names, meta, new PagesOf(content, pageSize, size / pageSize), progress);
    return;
  }
  // Small files that the repository has already are found by their path in the newest backup.
  await writer.previous(names);
  // How many names the file has is not known; each comes with its content, which is stored once.
  const how = link === undefined ? {} : { name: { link, names: Number.MAX_SAFE_INTEGER } };
  const finish = (): Promise<{ meta: typeof meta; changed: boolean }> =>
    Promise.resolve({ meta, changed: changedWhileRead === true });
  await writer.addStream(names, content, finish, progress, how);
}

/** The pages of a database that comes as a stream: they are asked for once each, in order. */
class PagesOf implements PageSource {
  readonly pageSize: number;
  readonly pageCount: number;
  readonly #pieces: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);
  #next = 0;

  constructor(content: AsyncIterable<Uint8Array>, pageSize: number, pageCount: number) {
    this.pageSize = pageSize;
    this.pageCount = pageCount;
    this.#pieces = content[Symbol.asyncIterator]();
  }

  async read(first: number, count: number): Promise<Uint8Array> {
    assert(first === this.#next, 'pages of a stream are read in order');
    this.#next += count;
    const bytes = Buffer.allocUnsafeSlow(count * this.pageSize);
    let filled = 0;
    while (filled < bytes.length) {
      if (this.#rest.length === 0) {
        const next = await this.#pieces.next();
        // Its size was checked when the archive was: only a file that was changed meanwhile ends early.
        assert(next.done !== true, 'the content of a database has the size of its pages');
        this.#rest = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
      }
      const taken = this.#rest.copy(bytes, filled);
      this.#rest = this.#rest.subarray(taken);
      filled += taken;
    }
    return bytes;
  }
}

async function spool(
  file: string,
  content: AsyncIterable<Uint8Array>,
  progress: (bytes: number) => void,
): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    for await (const piece of content) {
      progress(piece.length);
      await handle.appendFile(piece);
    }
  } finally {
    await handle.close();
  }
}

async function* piecesOf(file: string): AsyncGenerator<Uint8Array> {
  const handle = await open(file, 'r');
  try {
    for (;;) {
      const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}
