import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { fsPath } from '@foodsave-backup/component';

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

/** A regular file; links are not followed. */
export async function fileReader(path: string): Promise<FileReader> {
  const handle = await open(fsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new Error('it is not a regular file');
    return {
      size: stats.size,
      read: (offset, length, into) => readFully(handle, offset, length, into),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function readFully(
  handle: FileHandle,
  offset: number,
  length: number,
  into: Uint8Array | undefined,
): Promise<Uint8Array> {
  const buffer = into?.subarray(0, length) ?? Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** Bytes in memory. */
export function memoryReader(bytes: Uint8Array): BytesReader {
  return { size: bytes.length, read: (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length)) };
}
