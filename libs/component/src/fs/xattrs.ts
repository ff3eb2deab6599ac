import { systemErrorCode } from '@foodsave-backup/kernel';
import { decodeName, encodeName } from '../names.ts';
import type { Xattr } from '../port.ts';
import type { NativeFs, Place } from './native.ts';

/** Names and values of one entry, together: the limit of the repository format, with room for lengths. */
const MAX_BYTES = 250 * 1024;
const CAPABILITY = 'security.capability';
const ACLS: readonly string[] = ['system.posix_acl_access', 'system.posix_acl_default'];

/** Others belong to a machine and its security modules (`security.selinux`), or are another view of what is kept. */
function isKept(name: string): boolean {
  return name.startsWith('user.') || name.startsWith('trusted.') || name === CAPABILITY || ACLS.includes(name);
}

export interface ReadXattrs {
  /** Ascending by the bytes of their names. Undefined: too large to be kept. */
  xattrs: Xattr[] | undefined;
  /** Names of others, which are never kept. */
  others: string[];
}

/** Throws the system error of a file that cannot be looked at; on a file system without attributes there are none. */
export function readXattrs(native: NativeFs, place: Place): ReadXattrs {
  const names = native.listXattrs(place);
  if (names.length === 0) return { xattrs: [], others: [] };
  const xattrs: Xattr[] = [];
  const others: string[] = [];
  let bytes = 0;
  for (const raw of names.sort((a, b) => Buffer.compare(a, b))) {
    const name = decodeName(raw);
    if (!isKept(name)) {
      others.push(name);
      continue;
    }
    const value = native.getXattr(place, raw);
    if (value === undefined) continue;
    bytes += raw.length + value.length + 8;
    xattrs.push({ name, value });
  }
  return { xattrs: bytes > MAX_BYTES ? undefined : xattrs, others };
}

/** What is given back of what a backup holds: file capabilities follow the rule for setuid. */
export function restoredXattrs(xattrs: readonly Xattr[], specialModes: boolean): readonly Xattr[] {
  return specialModes ? xattrs : xattrs.filter(({ name }) => name !== CAPABILITY);
}

export function sameXattrs(a: readonly Xattr[], b: readonly Xattr[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ name, value }, i) => b[i]?.name === name && Buffer.compare(value, b[i].value) === 0)
  );
}

/**
 * Whether an attribute is set before the mode: an owner who is not root may write those of users only while the file can be
 * written. ACLs go after it, because the mode would change them, and capabilities after the owner.
 */
type Phase = 'before mode' | 'after mode';

function phaseOf(name: string): Phase {
  return name.startsWith('user.') ? 'before mode' : 'after mode';
}

/**
 * Makes the kept attributes of a phase exactly `wanted`. `unset` hears the name of each that cannot be set. False when there is nothing
 * to do in the other phase: none are wanted, and none were there.
 */
export function applyXattrs(
  native: NativeFs,
  place: Place,
  wanted: readonly Xattr[],
  phase: Phase,
  unset: (name: string) => void,
): boolean {
  const attempt = (name: string, call: () => void): void => {
    try {
      call();
    } catch (error) {
      if (systemErrorCode(error) === undefined) throw error;
      unset(name);
    }
  };
  let found = false;
  for (const raw of native.listXattrs(place)) {
    const name = decodeName(raw);
    found ||= isKept(name);
    if (!isKept(name) || phaseOf(name) !== phase || wanted.some((one) => one.name === name)) continue;
    attempt(name, () => {
      native.removeXattr(place, raw);
    });
  }
  for (const { name, value } of wanted) {
    if (phaseOf(name) !== phase) continue;
    const raw = encodeName(name);
    attempt(name, () => {
      if (native.getXattr(place, raw)?.equals(value) !== true) native.setXattr(place, raw, value);
    });
  }
  return found || wanted.length > 0;
}
