import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';
import type { NativeFs, Place } from './native.ts';

// Signatures and constants are those of 64-bit Linux, whose ports that Node.js runs on agree in them.
type Call<Args extends unknown[]> = (...args: Args) => number;
const libc = koffi.load(null);
const utimensat: Call<[number, Uint8Array, Uint8Array, number]> = libc.func(
  'int utimensat(int, const uint8_t *, const uint8_t *, int)',
);
const futimens: Call<[number, Uint8Array]> = libc.func('int futimens(int, const uint8_t *)');
const llistxattr: Call<[Uint8Array, Uint8Array, number]> = libc.func(
  'int64_t llistxattr(const uint8_t *, _Out_ uint8_t *, size_t)',
);
const flistxattr: Call<[number, Uint8Array, number]> = libc.func('int64_t flistxattr(int, _Out_ uint8_t *, size_t)');
const lgetxattr: Call<[Uint8Array, Uint8Array, Uint8Array, number]> = libc.func(
  'int64_t lgetxattr(const uint8_t *, const uint8_t *, _Out_ uint8_t *, size_t)',
);
const fgetxattr: Call<[number, Uint8Array, Uint8Array, number]> = libc.func(
  'int64_t fgetxattr(int, const uint8_t *, _Out_ uint8_t *, size_t)',
);
const lsetxattr: Call<[Uint8Array, Uint8Array, Uint8Array, number, number]> = libc.func(
  'int lsetxattr(const uint8_t *, const uint8_t *, const uint8_t *, size_t, int)',
);
const fsetxattr: Call<[number, Uint8Array, Uint8Array, number, number]> = libc.func(
  'int fsetxattr(int, const uint8_t *, const uint8_t *, size_t, int)',
);
const lremovexattr: Call<[Uint8Array, Uint8Array]> = libc.func('int lremovexattr(const uint8_t *, const uint8_t *)');
const fremovexattr: Call<[number, Uint8Array]> = libc.func('int fremovexattr(int, const uint8_t *)');
const lseek: Call<[number, number, number]> = libc.func('int64_t lseek(int, int64_t, int)');
const posixFadvise: Call<[number, number, number, number]> = libc.func('int posix_fadvise(int, int64_t, int64_t, int)');
const mkfifo: Call<[Uint8Array, number]> = libc.func('int mkfifo(const uint8_t *, uint32_t)');

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const POSIX_FADV_WILLNEED = 3;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** XATTR_LIST_MAX and XATTR_SIZE_MAX of linux/limits.h. */
const XATTR_BYTES = 64 * 1024;
/** What nearly all lists and values fit into. */
const USUAL_BYTES = 1024;
const SECOND = 1_000_000_000n;

export const linuxFs: NativeFs = {
  setTimes(place, ns) {
    const times = timespecs(ns);
    if (typeof place === 'number') check('futimens', futimens(place, times));
    else check('utimensat', utimensat(AT_FDCWD, cString(place), times, AT_SYMLINK_NOFOLLOW));
  },

  listXattrs(place) {
    const list = readUp((into, size) =>
      typeof place === 'number' ? flistxattr(place, into, size) : llistxattr(cString(place), into, size),
    );
    if (list === undefined) return [];
    const names: Buffer[] = [];
    for (let at = 0; at < list.length;) {
      const end = list.indexOf(0, at);
      names.push(list.subarray(at, end));
      at = end + 1;
    }
    return names;
  },

  getXattr(place, name) {
    const key = cString(name);
    return readUp((into, size) =>
      typeof place === 'number' ? fgetxattr(place, key, into, size) : lgetxattr(cString(place), key, into, size),
    );
  },

  setXattr(place, name, value) {
    const key = cString(name);
    check(
      'setxattr',
      typeof place === 'number'
        ? fsetxattr(place, key, value, value.length, 0)
        : lsetxattr(cString(place), key, value, value.length, 0),
    );
  },

  removeXattr(place, name) {
    const key = cString(name);
    const done = typeof place === 'number' ? fremovexattr(place, key) : lremovexattr(cString(place), key);
    if (done === -1 && lastError() !== 'ENODATA') check('removexattr', done);
  },

  nextData(fd, offset) {
    const found = lseek(fd, offset, SEEK_DATA);
    if (found === -1 && lastError() === 'ENXIO') return undefined;
    return check('lseek', found);
  },

  nextHole(fd, offset) {
    return check('lseek', lseek(fd, offset, SEEK_HOLE));
  },

  willRead(fd, length) {
    posixFadvise(fd, 0, length, POSIX_FADV_WILLNEED);
  },

  makeFifo(path, mode) {
    check('mkfifo', mkfifo(cString(path), mode));
  },
};

/** Reads with a buffer that usually does, and again with the largest. Undefined where there is nothing of the kind. */
function readUp(call: (into: Buffer, size: number) => number): Buffer | undefined {
  for (const size of [USUAL_BYTES, XATTR_BYTES]) {
    const into = Buffer.alloc(size);
    const length = call(into, size);
    if (length !== -1) return into.subarray(0, length);
    const code = lastError();
    if (code === 'ENODATA' || code === 'ENOTSUP' || code === 'EOPNOTSUPP') return undefined;
    if (code !== 'ERANGE' || size === XATTR_BYTES) throw systemError(code, 'getxattr');
  }
  return undefined;
}

/** Two equal `struct timespec`: seconds rounded down, and nanoseconds. */
function timespecs(ns: bigint): Buffer {
  const nanoseconds = ((ns % SECOND) + SECOND) % SECOND;
  const seconds = (ns - nanoseconds) / SECOND;
  const times = Buffer.alloc(32);
  for (const at of [0, 16]) {
    times.writeBigInt64LE(seconds, at);
    times.writeBigInt64LE(nanoseconds, at + 8);
  }
  return times;
}

function cString(text: Exclude<Place, number> | Uint8Array): Buffer {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  const copy = Buffer.alloc(bytes.length + 1);
  copy.set(bytes);
  return copy;
}

function check(syscall: string, result: number): number {
  if (result !== -1) return result;
  throw systemError(lastError(), syscall);
}

function lastError(): string {
  return getSystemErrorName(-koffi.errno());
}

function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: ${syscall}`), { code, syscall });
}
