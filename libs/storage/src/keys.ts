import { BackupError, printable } from '@foodsave-backup/kernel';
import type { ByteRange } from './port.ts';
import { MAX_OBJECT_BYTES } from './port.ts';

const MAX_KEY_BYTES = 512;
/** The longest name that the usual file systems take (NAME_MAX). */
const MAX_SEGMENT_BYTES = 255;
const SEGMENT = /^[A-Za-z0-9._-]+$/;

/** How the names of unfinished puts begin. No segment of a key may begin so. */
export const TEMPORARY_PREFIX = '.tmp-';

function isSegment(segment: string): boolean {
  return (
    SEGMENT.test(segment) &&
    segment !== '.' &&
    segment !== '..' &&
    segment.length <= MAX_SEGMENT_BYTES &&
    !segment.startsWith(TEMPORARY_PREFIX)
  );
}

/** Whether `key` may name an object: see {@link StorageBackend}. Every allowed character is one byte of UTF-8. */
export function isKey(key: string): boolean {
  return key.length <= MAX_KEY_BYTES && key.split('/').every(isSegment);
}

/** The one gate through which every key of every backend goes. Throws VALIDATION_FAILED. */
export function assertKey(key: string): void {
  if (isKey(key)) return;
  throw new BackupError('VALIDATION_FAILED', `"${printable(key)}" is not a valid object key`, {
    hint: 'A key is a relative path of letters, digits, dots, dashes and underscores, at most 512 bytes long. Check the repository for foreign or forged names.',
  });
}

/** A folder to list: `''`, or a key and a slash. Throws VALIDATION_FAILED. */
export function assertPrefix(prefix: string): void {
  if (prefix === '' || (prefix.endsWith('/') && isKey(prefix.slice(0, -1)))) return;
  throw new BackupError('VALIDATION_FAILED', `"${printable(prefix)}" is not a valid folder of objects`, {
    hint: 'Use an empty prefix, or a folder that ends with a slash.',
  });
}

/** Throws VALIDATION_FAILED for more than {@link MAX_OBJECT_BYTES}. */
export function assertBodySize(key: string, bytes: number): void {
  if (bytes <= MAX_OBJECT_BYTES) return;
  throw new BackupError(
    'VALIDATION_FAILED',
    `Object ${key} has ${bytes} bytes; at most ${MAX_OBJECT_BYTES} are allowed`,
    {
      hint: 'This is a defect of the caller: larger data is split before it is stored.',
    },
  );
}

/**
 * The range to read of an object of `size` bytes; without `range` the whole of it. Throws IO_ERROR for a range that is
 * malformed, reaches past the end, or is longer than {@link MAX_OBJECT_BYTES}.
 */
export function resolveRange(key: string, size: number, range: ByteRange | undefined): ByteRange {
  const { offset, length } = range ?? { offset: 0, length: size };
  const sound = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!sound || offset + length > size) {
    throw new BackupError('IO_ERROR', `Object ${key} has ${size} bytes; ${length} bytes from ${offset} do not exist`, {
      hint: 'The object is shorter than what points at it. Run check to learn which backups are affected.',
      details: { key, size, offset, length },
    });
  }
  if (length > MAX_OBJECT_BYTES) {
    throw new BackupError('IO_ERROR', `Object ${key} is too large to read at once (${length} bytes)`, {
      hint: 'Nothing that this software writes is that large. Run check.',
      details: { key, size, offset, length },
    });
  }
  return { offset, length };
}
