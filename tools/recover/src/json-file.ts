import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { timingSafeEqual } from 'node:crypto';
import { asDamage, Damage } from './errors.ts';
import { hmac, sha256 } from './sealed.ts';

export type Json = Readonly<Record<string, unknown>>;

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A whole small file; refuses one that is larger than `limit` bytes before reading it. */
export function readSmallFile(path: string, limit: number, what: string): Buffer {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const { size } = fstatSync(fd);
    if (size > limit) throw new Damage(`${what} is larger than the format allows`);
    const bytes = Buffer.alloc(size);
    let at = 0;
    while (at < size) {
      const read = readSync(fd, bytes, at, size - at, at);
      if (read === 0) throw new Damage(`${what} ends too early`);
      at += read;
    }
    return bytes;
  } catch (error) {
    throw asDamage(error, what);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

export function parseJson(bytes: Buffer, what: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new Damage(`${what} is damaged (not JSON)`);
  }
  if (!isJson(value)) throw new Damage(`${what} is damaged (not a JSON object)`);
  return value;
}

/**
 * Checks the checksum line at the end of a JSON file, which covers every byte before that line, and parses the file.
 * Without the key an HMAC cannot be checked: `checked` is false then.
 */
export function readChecked(
  bytes: Buffer,
  algorithm: 'sha256' | 'hmac-sha256',
  key: Buffer | undefined,
  what: string,
): { json: Json; checked: boolean } {
  const tailAt = Math.max(0, bytes.length - 160);
  const tail = /\n {2}"checksum": "([a-z0-9-]+):([0-9a-f]{64})"\n\}\n$/.exec(bytes.toString('latin1', tailAt));
  if (!tail) throw new Damage(`${what} is damaged (it has no checksum at its end)`);
  if (tail[1] !== algorithm) throw new Damage(`${what} is damaged (its checksum is of the wrong kind)`);
  const body = bytes.subarray(0, tailAt + tail.index + 1);
  const wanted = Buffer.from(tail[2] ?? '', 'hex');
  let checked = true;
  if (algorithm === 'sha256') {
    if (!sha256(body).equals(wanted)) throw new Damage(`${what} is damaged (checksum)`);
  } else if (key) {
    if (!timingSafeEqual(hmac(key, body), wanted)) throw new Damage(`${what} is damaged (authentication failed)`);
  } else {
    checked = false;
  }
  return { json: parseJson(bytes, what), checked };
}

/** `format` and `version`; a newer version is told apart from damage. */
export function checkFormat(json: Json, format: string, what: string): void {
  if (json['format'] !== format) throw new Damage(`${what} is not a ${format}`);
  const version = json['version'];
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) {
    throw new Damage(`${what} has no valid version`);
  }
  if (version > 1) throw new Newer(`${what} has format version ${version}; this recover.mjs understands version 1`);
}

export class Newer extends Damage {}

export function text(json: Json, name: string, what: string): string {
  const value = json[name];
  if (typeof value !== 'string') throw new Damage(`${what} lacks "${name}"`);
  return value;
}

export function optionalCount(json: Json, name: string): number | undefined {
  const value = json[name];
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

export function base64(json: Json, name: string, what: string, limit: number): Buffer {
  const value = text(json, name, what);
  if (value.length > limit * 2) throw new Damage(`${what}: "${name}" is larger than the format allows`);
  const bytes = Buffer.from(value, 'base64');
  if (bytes.toString('base64') !== value) throw new Damage(`${what}: "${name}" is not base64`);
  return bytes;
}
