import { constants } from 'node:fs';
import { chmod, lchown, lutimes, open, type FileHandle } from 'node:fs/promises';
import { fsPath } from '../names.ts';
import type { EntryKind, EntryMeta } from '../port.ts';

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
 * Seconds for `utimes`. Node takes a floating-point number: today's times come back with an error below one microsecond,
 * never exactly to the nanosecond.
 */
export function utimeSeconds(ns: bigint): number {
  const second = 1_000_000_000n;
  const whole = ns >= 0n ? ns / second : -((-ns + second - 1n) / second);
  return Number(whole) + Number(ns - whole * second) / 1e9;
}

/** Whether two times are equal as far as `utimes` can tell. */
export function sameTime(a: bigint, b: bigint): boolean {
  const difference = a > b ? a - b : b - a;
  return difference <= 1_000n;
}

/** The permission bits that are restored for an entry. */
export function restoredMode(kind: EntryKind, mode: number, policy: MetadataPolicy): number {
  if (kind === 'directory') return mode & (policy.owner ? 0o7777 : 0o7777 & ~(SETUID | SETGID));
  return mode & (policy.specialModes ? 0o7777 : 0o7777 & ~(SETUID | SETGID));
}

/** Owner, mode and times of an open file or directory, in the one order in which none undoes another. */
export async function applyToHandle(
  handle: FileHandle,
  kind: EntryKind,
  meta: EntryMeta,
  policy: MetadataPolicy,
): Promise<void> {
  if (policy.owner) await handle.chown(meta.uid, meta.gid);
  await handle.chmod(restoredMode(kind, meta.mode, policy));
  const time = utimeSeconds(meta.mtimeNs);
  await handle.utimes(time, time);
}

/** The same for a path whose parent is trusted; the last component is never followed. */
export async function applyToPath(
  path: string,
  kind: EntryKind,
  meta: EntryMeta,
  policy: MetadataPolicy,
): Promise<void> {
  const target = fsPath(path);
  if (kind === 'symlink') {
    if (policy.owner) await lchown(target, meta.uid, meta.gid);
    const time = utimeSeconds(meta.mtimeNs);
    await lutimes(target, time, time);
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
    await applyToHandle(handle, kind, meta, policy);
  } finally {
    await handle.close();
  }
}
