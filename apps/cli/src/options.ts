import { InvalidArgumentError } from 'commander';
import { parseRate, RATE_RULE } from '@foodsave-backup/kernel';

/** `a,b` and repeated options as one list without blanks. */
export function list(value: string, before: readonly string[] | undefined): string[] {
  const items = value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
  if (items.length === 0) throw new InvalidArgumentError('It names nothing. Example: database,files');
  return [...(before ?? []), ...items];
}

/** Repeated options as one list, each value as it stands. */
export function repeated(value: string, before: readonly string[] | undefined): string[] {
  if (value.trim() === '') throw new InvalidArgumentError('It is empty.');
  return [...(before ?? []), value];
}

const LIMIT_MAX = 500;

export function limit(value: string): number {
  const number = wholeNumber(value);
  if (number === undefined || number < 1 || number > LIMIT_MAX) {
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${String(LIMIT_MAX)}.`);
  }
  return number;
}

export function port(value: string): number {
  const number = wholeNumber(value);
  if (number === undefined || number > 65_535) {
    throw new InvalidArgumentError('It must be a port number from 0 to 65535. Example: 8000');
  }
  return number;
}

/** `n/t`: part n of t equal parts. */
export function subset(value: string): { n: number; t: number } {
  const [n, t, ...rest] = value.split('/').map(wholeNumber);
  if (n === undefined || t === undefined || rest.length > 0 || n < 1 || n > t) {
    throw new InvalidArgumentError('It must be n/t with 1 ≤ n ≤ t, such as 1/10 for the first tenth.');
  }
  return { n, t };
}

/** Bytes a second. */
export interface RateOptions {
  limitRead?: number;
  limitUpload?: number;
}

export const READ_LIMIT = [
  '--limit-read <rate>',
  'read at most so many bytes of the application a second: 50MB, 800kB (default: as configured)',
] as const;
export const UPLOAD_LIMIT = [
  '--limit-upload <rate>',
  'write at most so many bytes to the repository a second (default: as configured)',
] as const;

export function rate(value: string): number {
  const bytes = parseRate(value);
  if (bytes === undefined) throw new InvalidArgumentError(`It ${RATE_RULE}. Example: 50MB`);
  return bytes;
}

function wholeNumber(value: string): number | undefined {
  return /^[0-9]{1,6}$/.test(value) ? Number(value) : undefined;
}
