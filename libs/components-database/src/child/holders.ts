import { readdir, readlink, stat } from 'node:fs/promises';
import type { BigIntStats } from 'node:fs';
import { systemErrorCode } from '@foodsave-backup/kernel';

/** Linux gives it this fixed inode (PROC_PID_INIT_INO, include/linux/proc_ns.h). */
const INITIAL_PID_NAMESPACE = 'pid:[4026531836]';

export interface Holders {
  /** Other processes that have the file open. */
  pids: number[];
  /** False when some process could not be seen or looked into: another user's, one outside this container, no /proc. */
  everyone: boolean;
}

/** Finds the other processes that have a file open, by device and inode, so that names and mounts do not matter. */
export async function findHolders(file: BigIntStats): Promise<Holders> {
  let names: string[];
  try {
    names = await readdir('/proc');
  } catch {
    return { pids: [], everyone: false };
  }
  const holders: Holders = { pids: [], everyone: names.includes('1') && (await inInitialNamespace()) };
  for (const name of names) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const holds = await hasOpen(`/proc/${name}/fd`, file);
    if (holds === undefined) holders.everyone = false;
    else if (holds) holders.pids.push(pid);
  }
  return holders;
}

/** From a container the processes of the host and of other containers cannot be seen, though they may share a volume. */
async function inInitialNamespace(): Promise<boolean> {
  try {
    return (await readlink('/proc/self/ns/pid')) === INITIAL_PID_NAMESPACE;
  } catch {
    return false;
  }
}

/** `undefined` when this user may not know. A process that has ended holds nothing. */
async function hasOpen(directory: string, file: BigIntStats): Promise<boolean | undefined> {
  let descriptors: string[];
  try {
    descriptors = await readdir(directory);
  } catch (error) {
    return isGone(error) ? false : undefined;
  }
  for (const descriptor of descriptors) {
    const link = `${directory}/${descriptor}`;
    try {
      // Sockets, pipes and the like have no path.
      if (!(await readlink(link)).startsWith('/')) continue;
      const opened = await stat(link, { bigint: true });
      if (opened.ino === file.ino && opened.dev === file.dev) return true;
    } catch (error) {
      if (!isGone(error)) return undefined;
    }
  }
  return false;
}

function isGone(error: unknown): boolean {
  const code = systemErrorCode(error);
  return code === 'ENOENT' || code === 'ESRCH';
}
