import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { systemErrorCode } from '@foodsave-backup/kernel';

/** Why a file could not be read as text: a predicate, without the path and without any of its content. */
export class UnreadableFile extends Error {
  readonly missing: boolean;

  constructor(reason: string, missing = false) {
    super(reason);
    this.name = 'UnreadableFile';
    this.missing = missing;
  }
}

/**
 * The text of a small UTF-8 file (a byte order mark is dropped). Throws UnreadableFile when it is absent, no regular file
 * (a pipe or a device is never opened), larger than `maxBytes`, not UTF-8 or binary.
 */
export async function readTextFile(path: string, maxBytes: number): Promise<string> {
  const bytes = await readBounded(path, maxBytes);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new UnreadableFile('is not UTF-8 text');
  }
  if (text.includes('\0')) throw new UnreadableFile('is a binary file');
  return text;
}

async function readBounded(path: string, maxBytes: number): Promise<Uint8Array> {
  try {
    const info = await stat(path);
    if (info.isDirectory()) throw new UnreadableFile('is a directory, not a file');
    if (!info.isFile()) throw new UnreadableFile('is not a regular file');
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      // One byte more than allowed tells "too large", however the file grows meanwhile.
      const buffer = new Uint8Array(maxBytes + 1);
      let length = 0;
      while (length < buffer.length) {
        const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      if (length > maxBytes) throw new UnreadableFile(`is larger than ${String(maxBytes)} bytes`);
      return buffer.subarray(0, length);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof UnreadableFile) throw error;
    throw unreadable(systemErrorCode(error) ?? (error as { code?: string }).code);
  }
}

function unreadable(code: string | undefined): UnreadableFile {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new UnreadableFile('does not exist', true);
    case 'EACCES':
    case 'EPERM':
      return new UnreadableFile('may not be read by this user (permission denied)');
    case 'ELOOP':
      return new UnreadableFile('is a symbolic link that leads to itself');
    case 'ENAMETOOLONG':
    case 'ERR_INVALID_ARG_VALUE':
      return new UnreadableFile('is not a possible path');
    default:
      return new UnreadableFile(`cannot be read (${code ?? 'unknown error'})`);
  }
}
