import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import { malformed } from './bytes.ts';
import { sha256 } from './seal.ts';

export type ChecksumKind = 'sha256' | 'hmac-sha256';

/** JSON with its checksum as the last line (FORMAT.md section 1). `key`: the manifest key for `hmac-sha256`. */
export function encodeJsonFile(value: Readonly<Record<string, unknown>>, key?: Uint8Array): Buffer {
  const text = JSON.stringify(value, null, 2);
  const body = Buffer.from(`${text.slice(0, -2)},\n`, 'utf8');
  return Buffer.concat([body, Buffer.from(`  "checksum": "${checksum(body, key)}"\n}\n`, 'utf8')]);
}

function checksum(body: Uint8Array, key: Uint8Array | undefined): string {
  if (key === undefined) return `sha256:${sha256(body).toString('hex')}`;
  return `hmac-sha256:${createHmac('sha256', createSecretKey(key)).update(body).digest('hex')}`;
}

const KNOWN_CHECKSUM = /^(?:hmac-)?sha256:/;
const LAST_LINE = /^ {2}"checksum": "((?:hmac-)?sha256):([0-9a-f]{64})"\n\}\n$/;

/** Longest possible last line, in bytes. */
const TAIL_BYTES = 110;

/**
 * The version that a JSON file of this `format` says it has, when it is newer than `known` and that is not an accident:
 * its checksum matches, or is of a kind that only newer software makes. `key` as for `encodeJsonFile`.
 */
export function newerVersionOf(file: Uint8Array, format: string, known: number, key?: Uint8Array): number | undefined {
  const text = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  let value: unknown;
  try {
    value = JSON.parse(text.toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { format: found, version, checksum: sum } = value as Record<string, unknown>;
  if (found !== format || typeof version !== 'number' || !(version > known)) return undefined;
  if (typeof sum !== 'string' || !KNOWN_CHECKSUM.test(sum)) return version;
  const start = text.lastIndexOf('  "checksum": "');
  return start >= 0 && checksum(text.subarray(0, start), key) === sum ? version : undefined;
}

/**
 * Parses a JSON file of the repository. With `verify`, the checksum must be of that kind and match; without it (no key at
 * hand) only the form is checked, and nothing in it may be trusted.
 */
export function decodeJsonFile(
  file: Uint8Array,
  verify: { kind: 'sha256' } | { kind: 'hmac-sha256'; key: Uint8Array } | undefined,
): Record<string, unknown> {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const start = bytes.lastIndexOf('  "checksum": "');
  const tail =
    start >= 0 && bytes.length - start <= TAIL_BYTES ? LAST_LINE.exec(bytes.toString('latin1', start)) : null;
  if (tail === null) throw malformed('it does not end with its checksum');
  const body = bytes.subarray(0, start);
  if (verify !== undefined) {
    const expected = checksum(body, verify.kind === 'hmac-sha256' ? verify.key : undefined);
    const found = `${tail[1] ?? ''}:${tail[2] ?? ''}`;
    if (expected.length !== found.length || !timingSafeEqual(Buffer.from(expected), Buffer.from(found))) {
      throw malformed('its checksum does not match');
    }
  }
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw malformed('it is not valid JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed('it is not a JSON object');
  const record = value as Record<string, unknown>;
  delete record['checksum'];
  return record;
}
