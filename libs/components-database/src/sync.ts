import { open } from 'node:fs/promises';

/** Makes what was created, renamed or removed in a directory durable. Never for a database, which only SQLite may open. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Makes the content of a file durable that this run has made and that no SQLite of this process has open. */
export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
