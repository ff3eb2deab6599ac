import { isUtf8 } from 'node:buffer';
import { REDACTED, SecretKeys } from './secret-keys.ts';
import { locate } from './spans.ts';

/** Larger files are not read into memory to be redacted; they are left out of the backup and reported. */
export const MAX_REDACTED_FILE = 16 * 1024 * 1024;

export interface Redaction {
  bytes: Uint8Array;
  /** Names of the keys whose values were replaced, each once, in the order of the file. */
  keys: string[];
}

/** One character per byte where the bytes are not UTF-8, so that the way back loses nothing. */
function decode(bytes: Uint8Array): { text: string; encoding: BufferEncoding } {
  const encoding: BufferEncoding = isUtf8(bytes) ? 'utf8' : 'latin1';
  return { text: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encoding), encoding };
}

export function countKeys(name: string, bytes: Uint8Array): number {
  if (!/(^|[/.])env(\.[^/]*)?$|\.(ya?ml|json|ini|properties|toml|conf|cfg|cnf)$/i.test(name)) return 0;
  return locate(name, decode(bytes).text, new SecretKeys([])).keys;
}

/** Replaces the values of secret-like keys, private keys and passwords in URLs; everything else stays byte for byte. */
export function redact(name: string, bytes: Uint8Array, secrets: readonly string[]): Redaction {
  const { text, encoding } = decode(bytes);
  const { spans } = locate(name, text, new SecretKeys(secrets));
  if (spans.length === 0) return { bytes, keys: [] };
  let out = '';
  let at = 0;
  for (const span of spans) {
    out += text.slice(at, span.start) + span.marker;
    at = span.end;
  }
  return { bytes: Buffer.from(out + text.slice(at), encoding), keys: [...new Set(spans.map((span) => span.key))] };
}

export interface Unredaction {
  bytes: Uint8Array;
  /** Keys that got the value of the live file. */
  kept: string[];
  /** Keys that the live file does not have; they still read `**REDACTED**`. */
  missing: string[];
}

/** Puts the values of a live file where a redacted one has none. `live` is undefined when there is no live file. */
export function unredact(
  name: string,
  redacted: Uint8Array,
  live: Uint8Array | undefined,
  secrets: readonly string[],
): Unredaction {
  const keys = new SecretKeys(secrets);
  const { text, encoding } = decode(redacted);
  const other = live ? decode(live) : undefined;
  const sameEncoding = other?.encoding === encoding || other?.encoding === 'utf8';
  const values = new Map(
    (other && sameEncoding ? locate(name, other.text, keys).spans : []).map((span) => [span.id, span]),
  );
  const result: Unredaction = { bytes: redacted, kept: [], missing: [] };
  let out = '';
  let at = 0;
  for (const span of locate(name, text, keys).spans) {
    if (!text.slice(span.start, span.end).includes(REDACTED)) continue;
    const value = values.get(span.id);
    if (!value || value.carry.includes(REDACTED)) {
      result.missing.push(span.key);
      continue;
    }
    out +=
      text.slice(at, span.start) +
      value.carry +
      (span.marker.endsWith('\n') && !value.carry.endsWith('\n') ? '\n' : '');
    at = span.end;
    result.kept.push(span.key);
  }
  const complete = out + text.slice(at);
  // Text of one byte per character can only go back as such while the live values fit.
  if (encoding === 'latin1' && /[^\0-\xff]/.test(complete))
    return { bytes: redacted, kept: [], missing: [...result.kept, ...result.missing] };
  result.bytes = Buffer.from(complete, encoding);
  return result;
}
