import { constants, fchmodSync, fchownSync, futimesSync, type BigIntStats } from 'node:fs';
import { chmod, lchown, lutimes, open } from 'node:fs/promises';
import { printable } from '@foodsave-backup/kernel';
import { fsPath } from '../names.ts';
import type { EntryKind, EntryMeta } from '../port.ts';
import { loadNative } from './native-load.ts';
import type { NativeFs, Place } from './native.ts';
import { metaOf, withXattrs } from './read.ts';
import { applyXattrs, readXattrs, restoredXattrs, sameXattrs } from './xattrs.ts';

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
function restoredMode(kind: EntryKind, mode: number, policy: MetadataPolicy): number {
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

/** Gives restored entries their owner, mode, extended attributes and times, and remembers what could not be given. */
export class Metadata {
  readonly policy: MetadataPolicy;
  /** Undefined where it cannot be loaded: what it does is then done less exactly, or not at all. */
  readonly native: NativeFs | undefined;
  private readonly lost = new Lost();

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

  /** Metadata of a live file, with what this restore could change of it. */
  metaOf(path: string, stats: BigIntStats): EntryMeta {
    const meta = metaOf(stats, undefined);
    if (!this.native) return meta;
    return withXattrs(meta, readXattrs(this.native, fsPath(path)).xattrs);
  }

  /** Whether a live file, whose `metaOf` is given, would be changed. */
  differs(kind: EntryKind, wanted: EntryMeta, live: EntryMeta): boolean {
    const { owner, specialModes } = this.policy;
    if (!(this.native ? wanted.mtimeNs === live.mtimeNs : sameTime(wanted.mtimeNs, live.mtimeNs))) return true;
    if (owner && (wanted.uid !== live.uid || wanted.gid !== live.gid)) return true;
    if (kind !== 'symlink' && restoredMode(kind, wanted.mode, this.policy) !== live.mode) return true;
    if (wanted.xattrs === undefined || live.xattrs === undefined) return false;
    return !sameXattrs(restoredXattrs(wanted.xattrs, specialModes), live.xattrs);
  }

  /**
   * Owner, mode, attributes and times of an open file or directory, in the one order in which none undoes another. At once: a
   * call takes some microseconds, and the way to another thread and back ten times as long.
   */
  applyToDescriptor(fd: number, kind: EntryKind, meta: EntryMeta): void {
    if (this.policy.owner) fchownSync(fd, meta.uid, meta.gid);
    const more = this.applyXattrs(fd, meta, 'before mode');
    fchmodSync(fd, restoredMode(kind, meta.mode, this.policy));
    if (more) this.applyXattrs(fd, meta, 'after mode');
    if (this.native) {
      this.native.setTimes(fd, meta.mtimeNs);
      return;
    }
    const time = utimeSeconds(meta.mtimeNs);
    futimesSync(fd, time, time);
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
      this.applyToDescriptor(handle.fd, kind, meta);
    } finally {
      await handle.close();
    }
  }

  private async applyToLink(target: string | Buffer, meta: EntryMeta): Promise<void> {
    if (this.policy.owner) await lchown(target, meta.uid, meta.gid);
    if (this.applyXattrs(target, meta, 'before mode')) this.applyXattrs(target, meta, 'after mode');
    await setTimesWith(this.native, target, meta.mtimeNs);
  }

  /** False when there is nothing to do after the mode. */
  private applyXattrs(place: Place, meta: EntryMeta, phase: 'before mode' | 'after mode'): boolean {
    const { xattrs } = meta;
    if (xattrs === undefined) return false;
    if (!this.native) {
      if (xattrs.length > 0) this.lost.unread++;
      return false;
    }
    const wanted = restoredXattrs(xattrs, this.policy.specialModes);
    const more = applyXattrs(this.native, place, wanted, phase, (name) => {
      this.lost.attribute(name);
    });
    if (phase === 'before mode' && wanted.length < xattrs.length) this.lost.capabilities++;
    return more;
  }

  /** To be told of each file whose setuid or setgid bit the backup has. */
  sawMode(mode: number): void {
    if ((mode & (SETUID | SETGID)) !== 0 && !this.policy.specialModes) this.lost.modes++;
  }

  /** To be told of each name that became a file of its own. */
  copied(): void {
    this.lost.links++;
  }

  /** To be told of each FIFO that could not be made. */
  noFifo(): void {
    this.lost.fifos++;
  }

  /** What a person must know of what was not restored. */
  notes(): string[] {
    const notes = this.lost.notes();
    if (!this.policy.owner) notes.push('Owners were not restored, because this process does not run as root.');
    if (!this.native)
      notes.push('Times were restored to the microsecond only: the module for exact ones cannot be loaded here.');
    return notes;
  }
}

/** Counts what was in the backup and is not in the restored files. */
class Lost {
  modes = 0;
  capabilities = 0;
  /** Files whose attributes nobody could set. */
  unread = 0;
  links = 0;
  fifos = 0;
  private readonly attributes = new Map<string, number>();

  attribute(name: string): void {
    if (this.attributes.size >= 20 && !this.attributes.has(name)) return;
    this.attributes.set(name, (this.attributes.get(name) ?? 0) + 1);
  }

  notes(): string[] {
    const notes: string[] = [];
    const files = (count: number): string => `${count} ${count === 1 ? 'file' : 'files'}`;
    if (this.modes > 0)
      notes.push(
        `${files(this.modes)} had setuid or setgid in the backup, which is not restored. Set it by hand where it is needed.`,
      );
    if (this.capabilities > 0)
      notes.push(
        `${files(this.capabilities)} had file capabilities in the backup, which are not restored. Set them by hand where they are needed.`,
      );
    if (this.unread > 0)
      notes.push(
        `Extended attributes of ${files(this.unread)} were not restored: the module for them cannot be loaded here.`,
      );
    for (const [name, count] of this.attributes)
      notes.push(
        `The attribute ${printable(name)} could not be set on ${files(count)}: the file system does not keep it, or this user may not.`,
      );
    if (this.links > 0)
      notes.push(`${files(this.links)} became copies: hard links to them cannot be made on this file system.`);
    if (this.fifos > 0) notes.push(`${this.fifos} FIFOs were not made: the module for them cannot be loaded here.`);
    return notes;
  }
}
