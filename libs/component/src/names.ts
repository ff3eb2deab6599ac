import { isUtf8 } from 'node:buffer';
import { BackupError, printable } from '@foodsave-backup/kernel';

/** Longest layout path that is accepted, in bytes: 1,024 names, as deep as the repository format goes. No system call is given it whole. */
const MAX_PATH_BYTES = 256 * 1024;
/** Longest single name that is accepted, in bytes: NAME_MAX. */
export const MAX_NAME_BYTES = 255;

/**
 * The bytes of a file name as a string. Bytes that are not UTF-8 stand as lone surrogates U+DC80..U+DCFF, one per byte
 * (PEP 383, https://peps.python.org/pep-0383/), so that every name on disk has exactly one string.
 */
export function decodeName(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isUtf8(buffer)) return buffer.toString('utf8');
  let out = '';
  let at = 0;
  while (at < buffer.length) {
    const length = sequenceLength(buffer, at);
    if (length === 0) {
      out += String.fromCharCode(0xdc00 + (buffer[at] ?? 0));
      at += 1;
    } else {
      out += buffer.toString('utf8', at, at + length);
      at += length;
    }
  }
  return out;
}

/** Bytes of the well-formed UTF-8 sequence that starts at `at`, or 0. */
function sequenceLength(buffer: Buffer, at: number): number {
  const lead = buffer[at] ?? 0;
  const length =
    lead < 0x80
      ? 1
      : lead >= 0xc2 && lead < 0xe0
        ? 2
        : lead >= 0xe0 && lead < 0xf0
          ? 3
          : lead >= 0xf0 && lead < 0xf5
            ? 4
            : 0;
  if (length === 0 || at + length > buffer.length) return 0;
  return isUtf8(buffer.subarray(at, at + length)) ? length : 0;
}

/** The bytes of a name or path that `decodeName` made. Throws TARGET_INVALID for any other lone surrogate. */
export function encodeName(name: string): Buffer {
  if (name.isWellFormed()) return Buffer.from(name, 'utf8');
  const parts: Buffer[] = [];
  let clean = '';
  for (const char of name) {
    const code = char.codePointAt(0) ?? 0;
    if (code >= 0xd800 && code <= 0xdfff) {
      if (code < 0xdc80 || code > 0xdcff) throw unsafe(name, 'it holds a lone surrogate that stands for no byte');
      parts.push(Buffer.from(clean, 'utf8'), Buffer.of(code - 0xdc00));
      clean = '';
    } else {
      clean += char;
    }
  }
  parts.push(Buffer.from(clean, 'utf8'));
  return Buffer.concat(parts);
}

/** A path for `node:fs`: the string itself where it is plain Unicode (cheap), its bytes otherwise. */
export function fsPath(path: string): string | Buffer {
  return path.isWellFormed() ? path : encodeName(path);
}

function unsafe(path: string, reason: string): BackupError {
  return new BackupError('TARGET_INVALID', `The path "${printable(path)}" is not safe: ${reason}`, {
    hint: 'Nothing was written for it. The backup may have been tampered with: run verify, and compare it with a copy.',
  });
}

/**
 * Throws TARGET_INVALID unless `path` is a layout path: relative, `/`-separated, no empty, `.` or `..` segment, no NUL, not
 * too long, and spelled the one way in which `decodeName` spells its bytes. Needed wherever a path comes out of a repository.
 */
export function assertLayoutPath(path: string): void {
  if (path.includes('\0')) throw unsafe(path, 'it holds a NUL');
  for (const segment of path.split('/')) {
    if (segment === '') throw unsafe(path, path.startsWith('/') ? 'it is absolute' : 'it has an empty segment');
    if (segment === '.' || segment === '..') throw unsafe(path, `it has a "${segment}" segment`);
    if (Buffer.byteLength(segment) > MAX_NAME_BYTES && encodeName(segment).length > MAX_NAME_BYTES) {
      throw unsafe(path, `a name in it is longer than ${MAX_NAME_BYTES} bytes`);
    }
  }
  const bytes = encodeName(path);
  if (bytes.length > MAX_PATH_BYTES) throw unsafe(path, `it is longer than ${MAX_PATH_BYTES} bytes`);
  if (!path.isWellFormed() && decodeName(bytes) !== path) throw unsafe(path, 'it has a second spelling');
}

/** Compares two single names by their bytes. */
export function compareNames(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(encodeName(a), encodeName(b));
}

/** The order of a dump: parents before children, siblings by the bytes of their names. */
export function compareLayoutPaths(a: string, b: string): number {
  const left = a.split('/');
  const right = b.split('/');
  for (let i = 0; i < left.length && i < right.length; i++) {
    const order = compareNames(left[i] ?? '', right[i] ?? '');
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

/** Whether `path` is `ancestor` or lies below it. The empty path is everyone's ancestor. */
export function isAtOrBelow(path: string, ancestor: string): boolean {
  return ancestor === '' || path === ancestor || (path.startsWith(ancestor) && path.charAt(ancestor.length) === '/');
}
