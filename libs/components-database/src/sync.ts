import { open } from 'node:fs/promises';

/** Makes what was created, renamed or removed in a directory durable. Never for a database, which only SQLite may open. */
export function syncDirectory(path: string): Promise<void> {
  return sync(path, 'r');
}

/** Makes the content of a file durable that this run has made and that no SQLite of this process has open. */
export function syncFile(path: string): Promise<void> {
  return sync(path, 'r+');
}

async function sync(path: string, flags: string): Promise<void> {
  const opened = await open(path, flags);
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}
