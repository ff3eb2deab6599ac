import type { Dirent } from 'node:fs';
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { link, lstat, open, readdir, rename, statfs, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Clock } from '@foodsave-backup/kernel';
import { BackupError, systemClock, systemErrorCode, throwIfCancelled } from '@foodsave-backup/kernel';
import { notFound } from '../errors.ts';
import { assertBodySize, assertKey, assertPrefix, isKey, resolveRange } from '../keys.ts';
import type { ByteRange, GetOptions, ObjectInfo, PutOptions, StorageBackend, StorageCapabilities } from '../port.ts';
import { Directories } from './directories.ts';
import { Promptness } from './promptness.ts';
import { notWritable, readError, SyncFailure, writeError } from './system-errors.ts';
import { TemporaryFiles } from './temporary.ts';
import { writeSynced } from './write-synced.ts';

/** Entries of a directory that are looked at together. */
const LIST_BATCH = 64;
/** Larger objects, and longer parts of objects, are read through the thread pool, several at a time. */
const SMALL_BYTES = 64 * 1024;
const SMALL_RANGE_BYTES = 16 * 1024;
// Without O_NONBLOCK a FIFO in the place of an object would hang the reader.
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** What the system says of a path at which there is no object: nothing, a file as a folder, a link, a socket, a directory. */
const ABSENT: readonly string[] = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EISDIR'];
/** A link may be refused although the directory takes files: FAT, exFAT and some network file systems have none. */
const NO_LINKS: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

function isOneOf(codes: readonly string[], error: unknown): boolean {
  return codes.includes(systemErrorCode(error) ?? '');
}

export interface LocalStorageOptions {
  /** Tells the age of abandoned temporary files. */
  clock?: Clock;
}

/** A storage in the directory `root`, which the first `put` makes. Objects are files of mode 0600, folders 0700. */
export function createLocalStorage(root: string, options: LocalStorageOptions = {}): LocalStorage {
  return new LocalStorage(root, options);
}

/**
 * Objects as files. A put writes a hidden temporary file in the same directory, syncs it, gives it its name (`rename`, or
 * `link` with `ifAbsent`, which never replaces) and syncs the directory. No sync is ever tried twice.
 */
export class LocalStorage implements StorageBackend {
  readonly capabilities: StorageCapabilities = { atomicIfAbsent: true, consistentList: true, localToMachine: true };
  readonly location: string;
  readonly #directories: Directories;
  readonly #temporary: TemporaryFiles;
  readonly #medium: Promptness;

  constructor(root: string, options: LocalStorageOptions = {}) {
    if (root === '') {
      throw new BackupError('CONFIG_INVALID', 'The path of the repository is empty', {
        hint: 'Name a directory, for example ./backups.',
      });
    }
    this.location = resolve(root);
    const { clock = systemClock } = options;
    this.#medium = new Promptness(() => clock.monotonic());
    this.#temporary = new TemporaryFiles(clock);
    this.#directories = new Directories(this.location, this.#temporary);
  }

  async put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<boolean> {
    assertKey(key);
    assertBodySize(key, body.length);
    try {
      return await this.#put(key, body, options);
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw writeError(error, this.location);
    }
    // Somebody removed the directory, or took the temporary file for an abandoned one: once more, from the start.
    this.#directories.forget(dirname(join(this.location, key)));
    try {
      return await this.#put(key, body, options);
    } catch (error) {
      throw writeError(error, this.location);
    }
  }

  async #put(key: string, body: Uint8Array, { ifAbsent = false, signal }: PutOptions): Promise<boolean> {
    throwIfCancelled(signal);
    const target = join(this.location, key);
    const directory = dirname(target);
    await this.#directories.prepare(directory);
    if (ifAbsent && (await exists(target))) {
      // Whoever put it may not have synced its name yet, and the caller is going to rely on it.
      await this.#directories.sync(directory);
      return false;
    }
    const temporary = join(directory, await this.#temporary.newName());
    let stored = true;
    try {
      await writeSynced(temporary, body, signal);
      throwIfCancelled(signal);
      if (ifAbsent) stored = await this.#linkIfAbsent(temporary, target);
      else await rename(temporary, target);
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw error;
    }
    // A second name that cannot be removed now is hidden, and a later put removes it.
    if (ifAbsent) await unlink(temporary).catch(() => undefined);
    await this.#directories.sync(directory);
    return stored;
  }

  async #linkIfAbsent(temporary: string, target: string): Promise<boolean> {
    try {
      await link(temporary, target);
      return true;
    } catch (error) {
      // A file server may have made the link and lost its answer: the count of names tells (open(2), on O_EXCL).
      if (systemErrorCode(error) === 'EEXIST') return (await lstat(temporary)).nlink > 1;
      if (isOneOf(NO_LINKS, error)) {
        throw notWritable(this.location, 'its file system has no hard links, which atomic creation needs', error);
      }
      throw error;
    }
  }

  async get(key: string, range?: ByteRange, options: GetOptions = {}): Promise<Uint8Array> {
    assertKey(key);
    throwIfCancelled(options.signal);
    if ((range?.length ?? 0) <= SMALL_RANGE_BYTES && this.#medium.isPrompt) {
      const small = this.#medium.inThread(() => this.#getSmall(key, range));
      if (small !== undefined) return small;
    }
    return this.#medium.pooled(() => this.#get(key, range, options));
  }

  /** Without a promise; `undefined` for a whole object that is not small. */
  #getSmall(key: string, range: ByteRange | undefined): Uint8Array | undefined {
    let fd: number;
    try {
      fd = openSync(join(this.location, key), READ_FLAGS);
    } catch (error) {
      throw this.#unopened(key, error);
    }
    try {
      const info = fstatSync(fd);
      if (!info.isFile()) throw notFound(key, this.location);
      if (range === undefined && info.size > SMALL_BYTES) return undefined;
      const { offset, length } = resolveRange(key, info.size, range);
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length;) {
        const read = readSync(fd, bytes, done, length - done, offset + done);
        if (read === 0) throw endedEarly({ key, offset, length }, done);
        done += read;
      }
      return bytes;
    } catch (error) {
      throw readError(error, this.location);
    } finally {
      closeSync(fd);
    }
  }

  #unopened(key: string, error: unknown): BackupError {
    return isOneOf(ABSENT, error) ? notFound(key, this.location, error) : readError(error, this.location);
  }

  async #get(key: string, range: ByteRange | undefined, options: GetOptions): Promise<Uint8Array> {
    let handle: FileHandle;
    try {
      handle = await open(join(this.location, key), READ_FLAGS);
    } catch (error) {
      throw this.#unopened(key, error);
    }
    try {
      const info = await handle.stat();
      if (!info.isFile()) throw notFound(key, this.location);
      const { offset, length } = resolveRange(key, info.size, range);
      return await readExactly(handle, { key, offset, length }, options.into);
    } catch (error) {
      throw readError(error, this.location);
    } finally {
      await handle.close();
    }
  }

  async stat(key: string): Promise<ObjectInfo | undefined> {
    assertKey(key);
    const [info] = await this.#infos([key]);
    return info;
  }

  async *list(prefix: string): AsyncGenerator<ObjectInfo> {
    const keys = await this.#maybeKeys(prefix, true);
    for (let at = 0; at < keys.length; at += LIST_BATCH) {
      for (const info of await this.#infos(keys.slice(at, at + LIST_BATCH))) yield info;
    }
  }

  keys(prefix: string): Promise<string[]> {
    return this.#maybeKeys(prefix, false);
  }

  /** Of a file system that tells no types, also what is no object, if `unsure`; else each of those is looked at. */
  async #maybeKeys(prefix: string, unsure: boolean): Promise<string[]> {
    assertPrefix(prefix);
    try {
      const path = join(this.location, prefix);
      const entries = await this.#medium.pooled(() => readdir(path, { withFileTypes: true }));
      const keys: string[] = [];
      for (const entry of entries) {
        if (!isObject(entry, prefix)) continue;
        const key = prefix + entry.name;
        if (unsure || entry.isFile() || (await this.stat(key)) !== undefined) keys.push(key);
      }
      return keys;
    } catch (error) {
      if (isOneOf(ABSENT, error)) return [];
      throw readError(error, this.location);
    }
  }

  /** What is at these keys, without those at which no object is. */
  async #infos(keys: readonly string[]): Promise<ObjectInfo[]> {
    const paths = keys.map((key) => join(this.location, key));
    try {
      const stats = this.#medium.isPrompt
        ? this.#medium.inThread(() => paths.map((path) => unlessAbsent(() => lstatSync(path))))
        : await this.#medium.pooled(() => Promise.all(paths.map((path) => lstat(path).catch(ifAbsent))));
      return keys.flatMap((key, i) => {
        const info = stats[i];
        return info?.isFile() === true ? [{ key, size: info.size, modifiedAt: Math.floor(info.mtimeMs) }] : [];
      });
    } catch (error) {
      throw readError(error, this.location);
    }
  }

  async delete(key: string): Promise<void> {
    assertKey(key);
    const target = join(this.location, key);
    try {
      await unlink(target).catch((error: unknown) => {
        if (!isOneOf(ABSENT, error)) throw error;
      });
      // Also when it was absent: whoever removed it may not have synced that yet.
      await this.#directories.sync(dirname(target));
    } catch (error) {
      if (!(error instanceof SyncFailure) && isOneOf(ABSENT, error)) return;
      throw writeError(error, this.location);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** What `look` finds at a path, or `undefined` when no object can be there. */
function unlessAbsent<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    ifAbsent(error);
    return undefined;
  }
}

function ifAbsent(error: unknown): undefined {
  if (!isOneOf(ABSENT, error)) throw error;
}

/** Bytes that this user may still write to the file system of `root`, or of its nearest parent that exists. */
export async function localFreeBytes(root: string): Promise<number> {
  for (let path = resolve(root); ; path = dirname(path)) {
    try {
      const { bavail, bsize } = await statfs(path);
      return bavail * bsize;
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT' || path === dirname(path)) throw readError(error, path);
    }
  }
}

function isObject(entry: Dirent, prefix: string): boolean {
  // Names that no key can have are somebody else's files. A file system that tells no types is asked by lstat.
  const maybeFile =
    entry.isFile() || !(entry.isDirectory() || entry.isSymbolicLink() || entry.isFIFO() || entry.isSocket());
  return maybeFile && isKey(prefix + entry.name);
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

async function readExactly(
  handle: FileHandle,
  { key, offset, length }: ByteRange & { key: string },
  into: Uint8Array | undefined,
): Promise<Uint8Array> {
  const bytes = into !== undefined && into.length >= length ? into.subarray(0, length) : new Uint8Array(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
    if (bytesRead === 0) throw endedEarly({ key, offset, length }, done);
    done += bytesRead;
  }
  return bytes;
}

function endedEarly({ key, offset, length }: ByteRange & { key: string }, done: number): BackupError {
  return new BackupError('IO_ERROR', `Object ${key} ended ${length - done} bytes early while it was read`, {
    hint: 'Something other than this software changes the files of the repository. Run check.',
    details: { key, offset, length },
  });
}
