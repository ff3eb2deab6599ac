import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { alignedBuffer, BackupError, DIRECT_UNIT, isHole, refusesDirect, type Piece } from '@foodsave-backup/kernel';
import { openDirect } from './open-direct.ts';
import { dataRuns } from './zero-runs.ts';

/** Bytes that are written at once. */
const STEP_BYTES = 2 * 1024 * 1024;
/** Buffers of `STEP_BYTES` that nobody uses now. */
const spare: Buffer[] = [];

/**
 * Fills a new file from its beginning to its end, past the page cache where the system allows: a page of it costs more than what
 * is written into it. Not for what is read in small pieces right after. Holes are kept, and long runs of zeros become some. The last
 * bytes, which are no whole unit, go through the page cache. One part is written while the next is collected. Nothing is synced.
 */
export class LargeWriter {
  readonly #file: FileHandle;
  /** The same file, for writes past the page cache. */
  #direct: FileHandle | undefined;
  #filling = takeBuffer();
  #other = takeBuffer();
  #filled = 0;
  /** Where `#filling` goes. */
  #position = 0;
  #writing: Promise<void> = Promise.resolve();

  private constructor(file: FileHandle, direct: FileHandle | undefined) {
    this.#file = file;
    this.#direct = direct;
  }

  /** `file`: new, empty, and closed by the caller after `close`. */
  static async open(file: FileHandle): Promise<LargeWriter> {
    return new LargeWriter(file, await openDirect(file, constants.O_WRONLY));
  }

  /** Appends a copy of the piece. Rejects with the system error, also of an earlier piece. */
  async write(piece: Piece): Promise<void> {
    if (isHole(piece)) {
      await this.#flush();
      this.#position += piece.hole;
      return;
    }
    for (let done = 0; done < piece.length;) {
      const count = Math.min(piece.length - done, STEP_BYTES - this.#filled);
      this.#filling.set(piece.subarray(done, done + count), this.#filled);
      this.#filled += count;
      done += count;
      if (this.#filled === STEP_BYTES) await this.#flush();
    }
  }

  /** Resolves when all was written and the file is as long as that. */
  async finish(): Promise<void> {
    const size = this.#position + this.#filled;
    await this.#flush();
    await this.#writing;
    await this.#file.truncate(size);
  }

  /** To be called once, also after a failure, when no other call is under way. */
  async close(): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#direct?.close();
    spare.push(this.#filling, this.#other);
  }

  async #flush(): Promise<void> {
    await this.#writing;
    const bytes = this.#filling.subarray(0, this.#filled);
    const position = this.#position;
    [this.#filling, this.#other] = [this.#other, this.#filling];
    this.#position += this.#filled;
    this.#filled = 0;
    this.#writing = this.#writeRuns(bytes, position);
    // Thrown by the next call.
    this.#writing.catch(() => undefined);
  }

  async #writeRuns(bytes: Buffer, position: number): Promise<void> {
    for (const [from, to] of dataRuns(bytes)) {
      const whole = from + Math.floor((to - from) / DIRECT_UNIT) * DIRECT_UNIT;
      const direct = await this.#writeDirect(bytes.subarray(from, whole), position + from);
      const at = direct ? whole : from;
      await writeAll(this.#file, bytes.subarray(at, to), position + at);
    }
  }

  /** False when the file system does not do that. */
  async #writeDirect(bytes: Buffer, position: number): Promise<boolean> {
    if (this.#direct === undefined || bytes.length === 0 || position % DIRECT_UNIT !== 0) return false;
    for (let done = 0; done < bytes.length;) {
      try {
        const { bytesWritten } = await this.#direct.write(bytes, done, bytes.length - done, position + done);
        done += bytesWritten;
        // What follows would not begin at a unit.
        if (done % DIRECT_UNIT !== 0) return false;
      } catch (error) {
        if (!refusesDirect(error)) throw error;
        await this.#direct.close();
        this.#direct = undefined;
        return false;
      }
    }
    return true;
  }
}

function takeBuffer(): Buffer {
  return spare.pop() ?? alignedBuffer(STEP_BYTES);
}

/** All of `bytes`, at `position` of the file. */
async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    if (bytesWritten === 0)
      throw new BackupError('IO_ERROR', 'A file takes no more bytes', { hint: 'Check the device.' });
    done += bytesWritten;
  }
}
