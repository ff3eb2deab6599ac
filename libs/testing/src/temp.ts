import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory of its own below the system's temporary one. `await using` removes it. */
export interface TempDir extends AsyncDisposable {
  /** Absolute. */
  readonly path: string;
  /** An absolute path below it. */
  join(...segments: string[]): string;
  /** Removes it with all it holds, also what was made read-only. Idempotent. */
  cleanup(): Promise<void>;
}

export async function tempDir(prefix = 'foodsave-test-'): Promise<TempDir> {
  const path = await mkdtemp(join(tmpdir(), prefix));
  const cleanup = (): Promise<void> => removeTree(path);
  return { path, join: (...segments) => join(path, ...segments), cleanup, [Symbol.asyncDispose]: cleanup };
}

/** Runs `use` with a directory that is gone afterwards, however it ends. */
export async function withTempDir<T>(use: (path: string) => Promise<T>): Promise<T> {
  const directory = await tempDir();
  try {
    return await use(directory.path);
  } finally {
    await directory.cleanup();
  }
}

async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch {
    await makeWritable(path);
    await rm(path, { recursive: true, force: true });
  }
}

async function makeWritable(path: string): Promise<void> {
  await chmod(path, 0o700);
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeWritable(join(path, entry.name));
  }
}
