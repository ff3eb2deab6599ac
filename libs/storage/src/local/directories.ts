import { constants } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BackupError, systemErrorCode } from '@foodsave-backup/kernel';
import { SyncFailure } from './system-errors.ts';
import type { TemporaryFiles } from './temporary.ts';

const DIRECTORY_MODE = 0o700;

/**
 * The directories of one local storage: makes them durably, once, and syncs them. A directory whose sync failed is not
 * written to again by this process, because the kernel may drop what it could not write and call the next sync a success
 * (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
 */
export class Directories {
  readonly #root: string;
  readonly #temporary: TemporaryFiles;
  readonly #ready = new Map<string, Promise<void>>();
  readonly #broken = new Set<string>();
  /** Syncs that run, and the one that begins after it for all who asked meanwhile. */
  readonly #syncs = new Map<string, { running: Promise<void>; next?: Promise<void> }>();

  constructor(root: string, temporary: TemporaryFiles) {
    this.#root = root;
    this.#temporary = temporary;
  }

  /** Resolves when `directory` exists and its name and those of its parents up to the root are durable. */
  async prepare(directory: string): Promise<void> {
    this.#assertSound(directory);
    let ready = this.#ready.get(directory);
    if (!ready) {
      ready = this.#prepare(directory);
      this.#ready.set(directory, ready);
    }
    try {
      await ready;
    } catch (error) {
      this.forget(directory);
      throw error;
    }
  }

  /** After somebody removed it: the next `prepare` looks again, at its parents too. */
  forget(directory: string): void {
    for (let path = directory; ; path = dirname(path)) {
      this.#ready.delete(path);
      if (path === this.#root || path === dirname(path)) return;
    }
  }

  /**
   * Makes the names in `directory` durable that it has when this is called. Who asks while it is being synced waits for the next
   * sync, together with all others who do: of many changes at once, each does not take one of its own.
   */
  sync(directory: string): Promise<void> {
    const under = this.#syncs.get(directory);
    if (under === undefined) return this.#sync(directory);
    under.next ??= under.running.catch(() => undefined).then(() => this.#sync(directory));
    return under.next;
  }

  async #sync(directory: string): Promise<void> {
    this.#assertSound(directory);
    const running = syncDirectory(directory);
    const under = { running };
    this.#syncs.set(directory, under);
    try {
      await running;
    } catch (error) {
      if (error instanceof SyncFailure) this.#broken.add(directory);
      throw error;
    } finally {
      if (this.#syncs.get(directory) === under) this.#syncs.delete(directory);
    }
  }

  async #prepare(directory: string): Promise<void> {
    if (directory === this.#root) {
      await makeRoot(directory);
    } else {
      const parent = dirname(directory);
      await this.prepare(parent);
      await makeDirectory(directory);
      // Also when it was there: another process may have made it a moment ago and not yet synced its name.
      await this.sync(parent);
    }
    await this.#temporary.removeStale(directory);
  }

  #assertSound(directory: string): void {
    if (!this.#broken.has(directory)) return;
    throw new BackupError(
      'IO_ERROR',
      `${directory} could not be synced to its device earlier; nothing more is written to it`,
      {
        hint: 'Check the device and the kernel log (dmesg), then start the command or the server again.',
        details: { path: directory },
      },
    );
  }
}

async function makeRoot(root: string): Promise<void> {
  if (await makeDirectory(root).catch(onMissingParent)) {
    await syncParentOfRoot(root);
    return;
  }
  await makeRoot(dirname(root));
  await makeDirectory(root);
  await syncParentOfRoot(root);
}

function onMissingParent(error: unknown): false {
  if (systemErrorCode(error) === 'ENOENT') return false;
  throw error;
}

/** The parent of an existing root is often not ours to open. */
async function syncParentOfRoot(root: string): Promise<void> {
  try {
    await syncDirectory(dirname(root));
  } catch (error) {
    if (!['EACCES', 'EPERM'].includes(systemErrorCode(error) ?? '')) throw error;
  }
}

/** Resolves to `true` when the directory is there, whoever made it. */
async function makeDirectory(path: string): Promise<true> {
  try {
    await mkdir(path, { mode: DIRECTORY_MODE });
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
  }
  return true;
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } catch (error) {
    // Some network and FUSE file systems have no sync of directories, and no way to ask for one.
    if (!['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(systemErrorCode(error) ?? '')) {
      throw new SyncFailure(`fsync of directory ${path} failed: ${(error as Error).message}`, { cause: error });
    }
  } finally {
    await handle.close();
  }
}
