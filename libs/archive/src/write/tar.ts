import type { Writable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { pack, type Header, type Pack } from 'tar-stream';
import { assert, throwIfCancelled } from '@foodsave-backup/kernel';
import { Output } from './output.ts';
import { bytesOf, dateOf, type ArchiveWriter, type EntryLook, type FileToWrite } from './writer.ts';

/** A file up to this size is handed over in one piece. */
const PIECE_BYTES = 1024 * 1024;
/** Largest number of the seven-digit fields of a tar header, as tar-stream fills them. */
const ID_MAX = 0o777777;
const SECONDS_MAX = 2 ** 31 - 1;

type HeaderFields = Partial<Header> & Pick<Header, 'name'>;
type Sink = ReturnType<Pack['entry']>;

export class TarGzWriter implements ArchiveWriter {
  readonly #pack: Pack = pack();
  readonly #output: Output;
  readonly #signal: AbortSignal;

  constructor(out: Writable, signal: AbortSignal) {
    this.#signal = signal;
    this.#output = new Output(
      () => this.#pack as AsyncIterable<Uint8Array>,
      [createGzip({ chunkSize: 128 * 1024 })],
      out,
    );
  }

  directory(path: string, look: EntryLook): Promise<void> {
    return this.#whole({ ...header(look), name: `${path}/`, type: 'directory' });
  }

  symlink(path: string, target: string, look: EntryLook): Promise<void> {
    return this.#whole({ ...header(look), name: path, type: 'symlink', linkname: target });
  }

  async file({ path, size, look, content }: FileToWrite): Promise<void> {
    const head: HeaderFields = { ...header(look), name: path, type: 'file', size };
    if (size <= PIECE_BYTES) {
      const bytes = await bytesOf(content(), this.#signal);
      assert(bytes.length === size, 'a content has the size that it was said to have');
      await this.#whole(head, bytes);
      return;
    }
    const { sink, ended } = this.#begin(head);
    for await (const piece of content()) {
      throwIfCancelled(this.#signal);
      if (!sink.write(piece)) await this.#output.during(Promise.race([ended, drained(sink)]));
    }
    sink.end(null);
    await this.#output.during(ended);
  }

  #begin(head: HeaderFields): { sink: Sink; ended: Promise<void> } {
    let settle: (error?: Error | null) => void = () => undefined;
    const ended = new Promise<void>((resolve, reject) => {
      settle = (error) => {
        if (error) reject(error);
        else resolve();
      };
    });
    ended.catch(() => undefined);
    const sink = this.#pack.entry(head, (error) => {
      settle(error);
    });
    // The callback hears of it.
    sink.on('error', () => undefined);
    return { sink, ended };
  }

  #whole(head: HeaderFields, bytes?: Buffer): Promise<void> {
    return this.#output.during(
      new Promise((resolve, reject) => {
        const done = (error?: Error | null): void => {
          if (error) reject(error);
          else resolve();
        };
        const sink = bytes === undefined ? this.#pack.entry(head, done) : this.#pack.entry(head, bytes, done);
        sink.on('error', () => undefined);
      }),
    );
  }

  async finish(): Promise<void> {
    this.#pack.finalize();
    await this.#output.finished();
  }

  abort(error: Error): Promise<void> {
    return this.#output.abort(error);
  }
}

function drained(sink: Sink): Promise<void> {
  return new Promise((resolve) => {
    sink.once('drain', resolve);
  });
}

/** Nanoseconds and large ids go into a pax header; the classic fields hold what they can. */
function header({ mode, mtimeNs, uid = 0, gid = 0 }: EntryLook): HeaderFields {
  const pax: Record<string, string> = {};
  const second = 1_000_000_000n;
  const whole = mtimeNs >= 0n ? mtimeNs / second : -((-mtimeNs + second - 1n) / second);
  const rest = mtimeNs - whole * second;
  if (rest !== 0n || whole < 0n || whole > BigInt(SECONDS_MAX)) pax['mtime'] = seconds(mtimeNs);
  if (uid > ID_MAX) pax['uid'] = String(uid);
  if (gid > ID_MAX) pax['gid'] = String(gid);
  const clamped = Math.min(Math.max(Number(whole), 0), SECONDS_MAX);
  return {
    name: '',
    mode,
    uid: Math.min(uid, ID_MAX),
    gid: Math.min(gid, ID_MAX),
    mtime: new Date(dateOf(BigInt(clamped) * second)),
    ...(Object.keys(pax).length === 0 ? {} : { pax }),
  };
}

/** Decimal seconds, as pax wants them. */
function seconds(ns: bigint): string {
  const sign = ns < 0n ? '-' : '';
  const digits = (ns < 0n ? -ns : ns).toString().padStart(10, '0');
  return `${sign}${digits.slice(0, -9)}.${digits.slice(-9)}`;
}
