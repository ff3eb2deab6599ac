import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  lchownSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
  type Stats,
} from 'node:fs';
import { dirname, sep } from 'node:path';
import { Comparison, type Digest } from './digest.ts';
import { EXIT, errorCode, RecoverError } from './errors.ts';
import type { EntryBase } from './trees.ts';

const SLASH = Buffer.from('/');
const SETUID_SETGID = 0o6000;
/** Linux takes 4,096 bytes of a path at once; a name may follow. */
const SHORT = 3000;
const HAS_DESCRIPTORS = existsSync('/proc/self/fd');
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const MAX_OPEN = 64;
const MAX_UNSET = 100;
/** Errors that the next file would meet too. */
const FATAL = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EMFILE', 'ENFILE', 'ENOMEM']);

/** A file, directory or link cannot be laid out as the backup has it; the others can. */
export class PlaceProblem extends Error {}

/** Runs a file system call on the target. What would fail for every file ends the command, the rest is about one path. */
function onTarget<Result>(call: () => Result): Result {
  try {
    return call();
  } catch (error) {
    const code = errorCode(error);
    if (code === undefined || !(error instanceof Error)) throw error;
    if (!FATAL.has(code)) throw new PlaceProblem(error.message.split(', ')[0] ?? code);
    const full = code === 'ENOSPC' || code === 'EDQUOT';
    throw new RecoverError(
      EXIT.failed,
      full
        ? 'The target is full; the restore stopped in the middle'
        : `The target cannot be written (${code}); the restore stopped in the middle`,
      'Restore again into a new, empty directory on a disk with enough room that can be written.',
    );
  }
}

/** The directory that a restore fills. Everything below it was made by this restore, so no path in it leads elsewhere. */
export class Target {
  readonly root: Buffer;
  /** Attributes that could not be set: what, and how often. */
  readonly unset = new Map<string, number>();
  private readonly keepSetuid: boolean;
  /** Directories by their paths, the one that was used last at the end. */
  private readonly open = new Map<string, number>();
  private readonly isRoot = process.getuid?.() === 0;
  private readonly temporary: Buffer;

  constructor(directory: string, repository: string, keepSetuid: boolean) {
    this.keepSetuid = keepSetuid;
    this.root = Buffer.from(prepare(directory, repository));
    this.temporary = this.path(Buffer.from(`.recover-partial-${process.pid}`));
  }

  /** Where a path below the target is reached, until some dozens of others were asked for. */
  path(relative: Buffer): Buffer {
    if (this.root.length + relative.length < SHORT || !HAS_DESCRIPTORS)
      return Buffer.concat([this.root, SLASH, relative]);
    let directory = this.root;
    let rest = relative;
    for (;;) {
      const slash = rest.length < SHORT ? -1 : rest.lastIndexOf(0x2f, SHORT);
      if (slash < 0) return Buffer.concat([directory, SLASH, rest]);
      const done = relative.length - rest.length + slash;
      directory = this.descriptor(
        relative.subarray(0, done),
        Buffer.concat([directory, SLASH, rest.subarray(0, slash)]),
      );
      rest = rest.subarray(slash + 1);
    }
  }

  /** Opens a directory on the way to what has a path that is too long for the system. */
  private descriptor(relative: Buffer, at: Buffer): Buffer {
    const key = relative.toString('latin1');
    const fd = this.open.get(key) ?? onTarget(() => openSync(at, DIRECTORY));
    this.open.delete(key);
    this.open.set(key, fd);
    for (const [oldest, stale] of this.open) {
      if (this.open.size <= MAX_OPEN) break;
      this.open.delete(oldest);
      closeSync(stale);
    }
    return Buffer.from(`/proc/self/fd/${fd}`);
  }

  stat(path: Buffer): Stats | undefined {
    return onTarget(() => {
      try {
        return lstatSync(path);
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return undefined;
        throw error;
      }
    });
  }

  /** Makes a directory, or takes the one that another component of the backup made. */
  directory(path: Buffer): void {
    const existing = this.stat(path);
    if (existing && !existing.isDirectory()) throw new PlaceProblem('another entry of the backup has this name');
    onTarget(() => (existing ? chmodSync(path, 0o700) : mkdirSync(path, 0o700)));
  }

  /** Opens an unnamed place for a file's bytes; it gets its name only when it is complete. */
  openTemporary(): number {
    return onTarget(() => openSync(this.temporary, 'wx+', 0o600));
  }

  write(fd: number, bytes: Buffer, position: number): void {
    onTarget(() => {
      for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at, position + at);
    });
  }

  /** Sets the size, which makes holes, and what the backup knows about the file. */
  finish(fd: number, size: number, entry: EntryBase): void {
    onTarget(() => ftruncateSync(fd, size));
    const { uid, gid, mode, mtime } = entry;
    this.noteAttributes(entry);
    if (this.isRoot && uid !== undefined && gid !== undefined) this.attempt('owner', () => fchownSync(fd, uid, gid));
    if (mode !== undefined) this.attempt('mode', () => fchmodSync(fd, this.allowed(mode)));
    if (mtime !== undefined) this.attempt('time', () => futimesSync(fd, fsTime(mtime), fsTime(mtime)));
  }

  moveTemporary(to: Buffer): void {
    onTarget(() => renameSync(this.temporary, to));
  }

  dropTemporary(fd: number): void {
    closeSync(fd);
    try {
      unlinkSync(this.temporary);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  }

  finishDirectory(path: Buffer, entry: EntryBase): void {
    const { uid, gid, mode, mtime } = entry;
    this.noteAttributes(entry);
    if (this.isRoot && uid !== undefined && gid !== undefined) this.attempt('owner', () => lchownSync(path, uid, gid));
    // The time first: a directory that may not be entered any more cannot be given one by everybody.
    if (mtime !== undefined) this.attempt('time', () => utimesSync(path, fsTime(mtime), fsTime(mtime)));
    if (mode !== undefined) this.attempt('mode', () => chmodSync(path, this.allowed(mode)));
  }

  /** False where no hard link can be made: the name then becomes a copy. */
  hardLink(from: Buffer, to: Buffer): boolean {
    try {
      linkSync(from, to);
      return true;
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
      this.count('hard link (copied instead)');
      return false;
    }
  }

  link(path: Buffer, target: Buffer, entry: EntryBase): void {
    onTarget(() => symlinkSync(target, path));
    const { uid, gid, mtime } = entry;
    this.noteAttributes(entry);
    if (this.isRoot && uid !== undefined && gid !== undefined) this.attempt('owner', () => lchownSync(path, uid, gid));
    if (mtime !== undefined) this.attempt('time', () => lutimesSync(path, fsTime(mtime), fsTime(mtime)));
  }

  /** Whether a file that is already there has this content. */
  holds(path: Buffer, digest: Digest): boolean {
    return onTarget(() => {
      const fd = openSync(path, 'r');
      try {
        const comparison = new Comparison(digest);
        const bytes = Buffer.allocUnsafe(1024 * 1024);
        for (;;) {
          const read = readSync(fd, bytes, 0, bytes.length, null);
          if (read === 0) return comparison.isWhole();
          comparison.bytes(bytes.subarray(0, read));
        }
      } finally {
        closeSync(fd);
      }
    });
  }

  private noteAttributes({ attributes }: EntryBase): void {
    for (const name of attributes) this.count(`extended attribute ${name}`);
  }

  private allowed(mode: number): number {
    if (this.keepSetuid || (mode & SETUID_SETGID) === 0) return mode;
    this.count('setuid or setgid bit (left out; --keep-setuid keeps it)');
    return mode & ~SETUID_SETGID;
  }

  private attempt(what: string, call: () => void): void {
    try {
      onTarget(call);
    } catch (error) {
      if (!(error instanceof PlaceProblem)) throw error;
      this.count(what);
    }
  }

  /** Notes what an entry has in the backup and not here. */
  count(what: string): void {
    if (this.unset.size >= MAX_UNSET && !this.unset.has(what)) return;
    this.unset.set(what, (this.unset.get(what) ?? 0) + 1);
  }
}

/** The target must be absent or an empty directory, and not be the repository. Returns its real path. */
function prepare(directory: string, repository: string): string {
  const usage = (message: string): RecoverError =>
    new RecoverError(
      EXIT.usage,
      message,
      'Name a directory that does not exist yet, outside the repository: it is made.',
    );
  try {
    const inside = `${existingPart(directory)}${sep}`.startsWith(`${realpathSync(repository)}${sep}`);
    if (inside) throw usage(`${directory} lies in the repository`);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const real = realpathSync(directory);
    if (readdirSync(real).length > 0) throw usage(`${directory} is not empty; nothing was written`);
    return real;
  } catch (error) {
    if (error instanceof RecoverError) throw error;
    throw usage(`${directory} cannot be used as the target (${errorCode(error) ?? 'unknown reason'})`);
  }
}

/** The real path of the part of a path that exists. */
function existingPart(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' || dirname(path) === path) throw error;
    return existingPart(dirname(path));
  }
}

/**
 * A time for Node's `utimes`, which takes seconds as a double: the nearest that is not later, about a quarter of a
 * microsecond (2^-22 s) off at most until the year 2038, and half a microsecond until 2106. Node takes a negative number
 * for "now", so that times before 1970 go through `Date` and are good to the millisecond.
 */
function fsTime(nanoseconds: bigint): number | Date {
  const second = 1_000_000_000n;
  if (nanoseconds < 0n) return new Date(Math.floor(Number(nanoseconds) / 1e6));
  const whole = Number(nanoseconds / second);
  const rest = Number(nanoseconds % second);
  let time = whole + rest / 1e9;
  const step = 2 ** (Math.floor(Math.log2(Math.max(1, whole))) - 52);
  while (Math.floor(time) > whole || (time - whole) * 1e9 > rest) time -= step;
  return Math.max(0, time);
}
