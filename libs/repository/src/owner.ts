import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Who holds a lease. `startTime` and `bootId` tell a process from a later one with the same id. */
export interface LeaseOwner {
  host: string;
  bootId: string;
  pid: number;
  pidNamespace: string;
  startTime: string;
  command: string;
}

function readOr(path: string, fallback: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return fallback;
  }
}

/** Field 22 of /proc/<pid>/stat: clock ticks after boot (proc(5)). The name in parentheses may hold anything. */
function startTimeOf(pid: number): string | undefined {
  const stat = readOr(`/proc/${pid}/stat`, '');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return stat === '' ? undefined : fields[19];
}

function isZombie(pid: number): boolean {
  const stat = readOr(`/proc/${pid}/stat`, '');
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
}

export function thisProcess(command: string): LeaseOwner {
  let pidNamespace = 'unknown';
  try {
    pidNamespace = readlinkSync('/proc/self/ns/pid');
  } catch {
    // Not Linux: the lease then lives by its expiry alone.
  }
  return {
    host: hostname(),
    bootId: readOr('/proc/sys/kernel/random/boot_id', 'unknown'),
    pid: process.pid,
    pidNamespace,
    startTime: startTimeOf(process.pid) ?? 'unknown',
    command,
  };
}

/** `undefined` when the owner cannot be looked at from here: another machine or container. */
export function isAlive(owner: LeaseOwner): boolean | undefined {
  const self = thisProcess('');
  if (self.bootId === 'unknown' || owner.bootId === 'unknown') return undefined;
  if (owner.host === self.host && owner.bootId !== self.bootId) return false;
  if (owner.bootId !== self.bootId || owner.pidNamespace !== self.pidNamespace) return undefined;
  const started = startTimeOf(owner.pid);
  return started !== undefined && started === owner.startTime && !isZombie(owner.pid);
}
