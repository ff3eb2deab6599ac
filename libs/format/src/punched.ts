import type { ByteSpan, Frame } from './blob.ts';
import { ByteReader, ByteWriter, malformed } from './bytes.ts';

/** Field 11 of a blob in a directory (FORMAT.md section 5); `undefined` when no frame has lost anything. */
export function encodePunched(frames: readonly Frame[]): Buffer | undefined {
  const writer = new ByteWriter(64);
  for (const [number, { punched }] of frames.entries()) {
    if (punched === undefined) continue;
    const gone = punched.hash === undefined ? [] : punched.gone;
    writer.varint(number).varint(gone.length);
    let at = 0;
    for (const { from, to } of gone) {
      writer.varint(from - at).varint(to - from);
      at = to;
    }
    if (punched.hash !== undefined) writer.bytes(punched.hash);
  }
  return writer.length === 0 ? undefined : writer.finish();
}

/** Gives frames what field 11 says of them. Throws DATA_DAMAGED when it contradicts their list. */
export function decodePunched(value: Uint8Array, frames: readonly Frame[]): void {
  const reader = new ByteReader(value);
  let last = -1;
  while (reader.remaining > 0) {
    const number = reader.varint();
    const frame = frames[number];
    if (frame === undefined || number <= last) throw malformed('number of a punched frame');
    last = number;
    const gone = readSpans(reader, frame.length);
    frame.punched = gone.length === 0 ? { gone: [{ from: 0, to: frame.length }] } : { gone, hash: reader.bytes(32) };
  }
  if (last < 0) throw malformed('punched frames');
}

/** None when all of the frame is gone. */
function readSpans(reader: ByteReader, length: number): ByteSpan[] {
  const gone: ByteSpan[] = [];
  const count = reader.varint();
  if (count > reader.remaining) throw malformed('number of ranges of a punched frame');
  for (let i = 0, at = 0; i < count; i++) {
    const kept = reader.varint();
    const from = at + kept;
    at = from + reader.varint();
    if ((i > 0 && kept === 0) || at === from || at > length) throw malformed('range of a punched frame');
    gone.push({ from, to: at });
  }
  const [first] = gone;
  if (first?.from === 0 && first.to === length) throw malformed('range of a punched frame');
  return gone;
}

/** Nothing is stored of a frame that is gone, raw, and something of every other; not all frames are gone. */
export function checkPunched(frames: readonly Frame[]): void {
  for (const { stored, codec, punched } of frames) {
    const all = punched !== undefined && punched.hash === undefined;
    if (all !== (stored === 0) || (all && codec !== 0)) throw malformed('a frame without content');
  }
  if (frames.every(({ stored }) => stored === 0)) throw malformed('a blob of which nothing is left');
}

/** Whether bytes `[from, to)` of a blob are all there. */
export function hasBytes(frames: readonly Frame[], from: number, to: number): boolean {
  let at = 0;
  for (const { length, punched } of frames) {
    if (at >= to) return true;
    const start = at;
    at += length;
    if (punched === undefined || at <= from || from >= to) continue;
    if (punched.gone.some((span) => start + span.from < to && start + span.to > from)) return false;
  }
  return at >= to;
}

export function isWhole(frames: readonly Frame[]): boolean {
  return frames.every(({ punched }) => punched === undefined);
}
