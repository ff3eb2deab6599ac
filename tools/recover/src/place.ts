import {
  chmodSync,
  closeSync,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  futimesSync,
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
import { createHash } from 'node:crypto';
import { dirname, sep } from 'node:path';
import { EXIT, errorCode, RecoverError } from './errors.ts';
import type { EntryBase } from './trees.ts';

const SLASH = Buffer.from('/');
const SETUID_SETGID = 0o6000;
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
  private readonly isRoot = process.getuid?.() === 0;
  private readonly temporary: Buffer;

  constructor(directory: string, repository: string, keepSetuid: boolean) {
    this.keepSetuid = keepSetuid;
    this.root = Buffer.from(prepare(directory, repository));
    this.temporary = this.path(Buffer.from(`.recover-partial-${process.pid}`));
  }

  path(relative: Buffer): Buffer {
    return Buffer.concat([this.root, SLASH, relative]);
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
    if (this.isRoot && uid !== undefined && gid !== undefined) this.attempt('owner', () => lchownSync(path, uid, gid));
    // The time first: a directory that may not be entered any more cannot be given one by everybody.
    if (mtime !== undefined) this.attempt('time', () => utimesSync(path, fsTime(mtime), fsTime(mtime)));
    if (mode !== undefined) this.attempt('mode', () => chmodSync(path, this.allowed(mode)));
  }

  link(path: Buffer, target: Buffer, entry: EntryBase): void {
    onTarget(() => symlinkSync(target, path));
    const { uid, gid, mtime } = entry;
    if (this.isRoot && uid !== undefined && gid !== undefined) this.attempt('owner', () => lchownSync(path, uid, gid));
    if (mtime !== undefined) this.attempt('time', () => lutimesSync(path, fsTime(mtime), fsTime(mtime)));
  }

  /** SHA-256 of a file that is already there. */
  hash(path: Buffer): Buffer {
    return onTarget(() => {
      const fd = openSync(path, 'r');
      try {
        const hash = createHash('sha256');
        const bytes = Buffer.allocUnsafe(1024 * 1024);
        for (;;) {
          const read = readSync(fd, bytes, 0, bytes.length, null);
          if (read === 0) return hash.digest();
          hash.update(bytes.subarray(0, read));
        }
      } finally {
        closeSync(fd);
      }
    });
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

  private count(what: string): void {
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
