import type { FileHandle } from 'node:fs/promises';

/** Fills `into` with the bytes from `offset` on. Gives how many there were: fewer only at the end of the file. */
export async function readFully(file: FileHandle, into: Uint8Array, offset: number): Promise<number> {
  let filled = 0;
  while (filled < into.length) {
    const { bytesRead } = await file.read(into, filled, into.length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}
