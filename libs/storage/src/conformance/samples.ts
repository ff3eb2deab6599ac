import type { StorageBackend } from '../port.ts';

export const VALID_KEYS: readonly string[] = [
  'a',
  'A-Z_0.9',
  '.hidden',
  '...',
  'a..b',
  '-',
  'manifests/full_backup_20261123_040506.json',
  `${'d'.repeat(200)}/${'e'.repeat(255)}`,
  `${'a/'.repeat(255)}aa`,
];

export const INVALID_KEYS: readonly string[] = [
  '',
  '/',
  '/etc/passwd',
  '..',
  '../x',
  'a/../../x',
  'a/..',
  '.',
  './a',
  'a/./b',
  'a//b',
  'a/',
  'a\\b',
  'a b',
  'a\0b',
  'a\n',
  'zażółć',
  'C:evil',
  'a%2e%2e',
  '.tmp-1',
  'a/.tmp-x/b',
  'x'.repeat(256),
  `${'a/'.repeat(256)}a`,
];

export const INVALID_PREFIXES: readonly string[] = ['/', 'index', '../', 'a/../', 'a//', ' /', './'];

/** `size` bytes that differ with `seed` and at every offset of a page. */
export function patterned(size: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 31 + (i >>> 8) * 7 + seed * 101) & 255;
  return bytes;
}

/** The keys of a folder, sorted. */
export async function keysOf(backend: StorageBackend, prefix: string): Promise<string[]> {
  return (await collect(backend.list(prefix))).map((info) => info.key).sort();
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** A short title for a test about `key`, and the key. */
export function titleOf(key: string): [string, string] {
  const json = JSON.stringify(key);
  return [json.length > 60 ? `${json.slice(0, 30)}… (${key.length} characters)` : json, key];
}
