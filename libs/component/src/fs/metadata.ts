import { constants } from 'node:fs';
import { chmod, lchown, lutimes, open, type FileHandle } from 'node:fs/promises';
import { fsPath } from '../names.ts';
import type { EntryKind, EntryMeta } from '../port.ts';
import { loadNative } from './native-load.ts';
import type { NativeFs } from './native.ts';

const SETUID = 0o4000;
const SETGID = 0o2000;

export interface MetadataPolicy {
  /** Whether owner and group are restored. Default: when this process is root. */
  owner: boolean;
  /** Whether setuid and setgid of files come back. Default false: a repository may be somebody else's. */
  specialModes: boolean;
}

export function defaultPolicy(): MetadataPolicy {
  return { owner: process.getuid?.() === 0, specialModes: false };
}

/**
 * Seconds for Node's `utimes`, which takes a floating-point number: today's times come back with an error below one
 * microsecond. Only where the system call that is exact cannot be had.
 */
export function utimeSeconds(ns: bigint): number {
  const second = 1_000_000_000n;
  const whole = ns >= 0n ? ns / second : -((-ns + second - 1n) / second);
  return Number(whole) + Number(ns - whole * second) / 1e9;
}

/** Whether two times are equal as far as `utimes` can tell. */
function sameTime(a: bigint, b: bigint): boolean {
  const difference = a > b ? a - b : b - a;
  return difference <= 1_000n;
}

/** The permission bits that are restored for an entry. */
export function restoredMode(kind: EntryKind, mode: number, policy: MetadataPolicy): number {
  if (kind === 'directory') return mode & (policy.owner ? 0o7777 : 0o7777 & ~(SETUID | SETGID));
  return mode & (policy.specialModes ? 0o7777 : 0o7777 & ~(SETUID | SETGID));
}

/** Sets the times of one file; a link is not followed. */
export async function setTimes(path: string, ns: bigint): Promise<void> {
  await setTimesWith(await loadNative(), fsPath(path), ns);
}

async function setTimesWith(native: NativeFs | undefined, path: string | Buffer, ns: bigint): Promise<void> {
  if (native) {
    native.setTimes(path, ns);
    return;
  }
  const time = utimeSeconds(ns);
  await lutimes(path, time, time);
}

/** Gives restored entries their owner, mode and times. */
export class Metadata {
  readonly policy: MetadataPolicy;
  /** Undefined where it cannot be loaded: what it does is then done less exactly, or not at all. */
  readonly native: NativeFs | undefined;

  constructor(policy: MetadataPolicy, native: NativeFs | undefined) {
    this.policy = policy;
    this.native = native;
  }

  static async open(policy: MetadataPolicy = defaultPolicy()): Promise<Metadata> {
    return new Metadata(policy, await loadNative());
  }

  /** The same for what was on this machine before: setuid and setgid included. */
  trusting(): Metadata {
    return new Metadata({ ...this.policy, specialModes: true }, this.native);
  }

  /** Whether a time need not be set again. */
  sameTime(a: bigint, b: bigint): boolean {
    return this.native ? a === b : sameTime(a, b);
  }

  /** Owner, mode and times of an open file or directory, in the one order in which none undoes another. */
  async applyToHandle(handle: FileHandle, kind: EntryKind, meta: EntryMeta): Promise<void> {
    if (this.policy.owner) await handle.chown(meta.uid, meta.gid);
    await handle.chmod(restoredMode(kind, meta.mode, this.policy));
    if (this.native) {
      this.native.setTimes(handle.fd, meta.mtimeNs);
      return;
    }
    const time = utimeSeconds(meta.mtimeNs);
    await handle.utimes(time, time);
  }

  /** The same for a path whose parent is trusted; the last component is never followed. */
  async applyToPath(path: string, kind: EntryKind, meta: EntryMeta): Promise<void> {
    const target = fsPath(path);
    if (kind === 'symlink') {
      await this.applyToLink(target, meta);
      return;
    }
    const directory = kind === 'directory' ? constants.O_DIRECTORY : 0;
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | directory;
    const handle = await open(target, flags).catch(async (error: unknown) => {
      // A file without read permission cannot be opened by its (non-root) owner, but its mode can be set first.
      if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
      await chmod(target, 0o600);
      return open(target, flags);
    });
    try {
      await this.applyToHandle(handle, kind, meta);
    } finally {
      await handle.close();
    }
  }

  private async applyToLink(target: string | Buffer, meta: EntryMeta): Promise<void> {
    if (this.policy.owner) await lchown(target, meta.uid, meta.gid);
    await setTimesWith(this.native, target, meta.mtimeNs);
  }

  /** What a person must know of what was not restored. */
  notes(droppedModes: number): string[] {
    const notes: string[] = [];
    if (droppedModes > 0)
      notes.push(
        `${droppedModes} ${droppedModes === 1 ? 'file' : 'files'} had setuid or setgid in the backup, which is not restored. Set it by hand where it is needed.`,
      );
    if (!this.policy.owner) notes.push('Owners were not restored, because this process does not run as root.');
    if (!this.native)
      notes.push('Times were restored to the microsecond only: the module for exact ones cannot be loaded here.');
    return notes;
  }
}
