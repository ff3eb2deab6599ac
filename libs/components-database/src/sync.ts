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
