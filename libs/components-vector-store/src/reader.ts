import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { fsPath, openDirect, readFully } from '@foodsave-backup/component';
import { alignedBuffer, DIRECT_UNIT } from '@foodsave-backup/kernel';

/** Random access to captured or restored bytes. */
export interface BytesReader {
  /** Bytes. */
  readonly size: number;
  /**
   * Exactly `[offset, offset + length)`, fewer only at the end. At most 4 MiB a call. `into`: memory of at least `length` bytes
   * that may be used for it; the result is then valid until the next call with the same.
   */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
}

export interface FileReader extends BytesReader {
  close(): Promise<void>;
}

/** From here on bytes are read past the page cache, where that is asked for. */
const DIRECT_LEAST = 64 * 1024;

/** `direct`: large reads go past the page cache, where the system allows: for what nobody reads again soon. */
export interface FileReaderOptions {
  direct?: boolean;
}

/** A regular file; links are not followed. */
export async function fileReader(path: string, { direct = false }: FileReaderOptions = {}): Promise<FileReader> {
  const handle = await open(fsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new Error('it is not a regular file');
    const past = direct ? await DirectReader.open(handle) : undefined;
    return {
      size: stats.size,
      read: async (offset, length, into) => {
        const bytes = length < DIRECT_LEAST ? undefined : await past?.read(offset, length, into);
        if (bytes !== undefined) return bytes;
        const buffer = into?.subarray(0, length) ?? Buffer.allocUnsafeSlow(length);
        return buffer.subarray(0, await readFully(handle, buffer, offset));
      },
      close: async () => {
        await past?.close();
        await handle.close();
      },
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Reads an open file past the page cache. Not for concurrent use. */
class DirectReader {
  readonly #file: FileHandle;
  #memory: Buffer = Buffer.alloc(0);

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Undefined where the file cannot be read so. */
  static async open(file: FileHandle): Promise<DirectReader | undefined> {
    const opened = await openDirect(file, constants.O_RDONLY);
    return opened === undefined ? undefined : new DirectReader(opened);
  }

  /** As `BytesReader.read`; undefined when the file system does not give all of them so. */
  async read(
    offset: number,
    length: number,
    into: Uint8Array = Buffer.allocUnsafeSlow(length),
  ): Promise<Uint8Array | undefined> {
    const start = Math.floor(offset / DIRECT_UNIT) * DIRECT_UNIT;
    const bytes = Math.ceil((offset + length - start) / DIRECT_UNIT) * DIRECT_UNIT;
    if (this.#memory.length < bytes) this.#memory = alignedBuffer(bytes);
    const { bytesRead } = await this.#file.read(this.#memory, 0, bytes, start).catch(() => ({ bytesRead: 0 }));
    if (bytesRead < offset + length - start) return undefined;
    const result = into.subarray(0, length);
    result.set(this.#memory.subarray(offset - start, offset - start + length));
    return result;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** Bytes in memory. */
export function memoryReader(bytes: Uint8Array): BytesReader {
  return { size: bytes.length, read: (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length)) };
}
