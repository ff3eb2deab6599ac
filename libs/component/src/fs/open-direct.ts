import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

/** The flag of open(2), 0 where the system has none. */
const O_DIRECT = (constants as { O_DIRECT?: number }).O_DIRECT ?? 0;

/**
 * A second descriptor of an open file, which goes past the page cache; undefined where there is none. `flags`: O_RDONLY or
 * O_WRONLY. Not the first one, as an open that makes a file may leave it behind when this cannot be had.
 */
export async function openDirect(file: FileHandle, flags: number): Promise<FileHandle | undefined> {
  if (O_DIRECT === 0) return undefined;
  return open(`/proc/self/fd/${file.fd}`, flags | constants.O_NONBLOCK | O_DIRECT).catch(() => undefined);
}
