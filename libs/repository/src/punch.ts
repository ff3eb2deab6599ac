import { constants, zstdCompressSync } from 'node:zlib';
import {
  CODEC,
  isDivisible,
  sha256,
  unsealFrame,
  type BlobEntry,
  type ByteSpan,
  type CompressedFrame,
  type Frame,
} from '@foodsave-backup/format';

/** A frame keeps its dead bytes unless they are at least this part of what is left of it: dead for good are fewer than one in ten. */
const WORTH_IT = 0.1;

/** What becomes of a frame: dead bytes of it that go, none when it stays as it is. */
interface FramePlan {
  /** All that is gone then, with what was gone before. */
  gone: ByteSpan[];
  /** The part of what is stored of it that is left, 0 to 1. */
  left: number;
}

/** Frame by frame, what of a blob goes when only `needed` (ranges of its bytes) is kept. */
function planFrames(blob: BlobEntry, needed: readonly ByteSpan[]): FramePlan[] {
  let at = 0;
  return blob.frames.map((frame) => {
    const start = at;
    at += frame.length;
    const kept = needed
      .filter(({ from, to }) => from < at && to > start)
      .map(({ from, to }) => ({ from: Math.max(0, from - start), to: Math.min(frame.length, to - start) }));
    return planFrame(frame, kept);
  });
}

function planFrame(frame: Frame, kept: readonly ByteSpan[]): FramePlan {
  const before = frame.length - bytesOf(frame.punched?.gone ?? []);
  const asItIs = { gone: [...(frame.punched?.gone ?? [])], left: 1 };
  if (before === 0) return asItIs;
  const after = bytesOf(kept);
  if (before - after < before * WORTH_IT) return asItIs;
  return { gone: complement(kept, frame.length), left: after / before };
}

function bytesOf(spans: readonly ByteSpan[]): number {
  return spans.reduce((sum, { from, to }) => sum + to - from, 0);
}

function complement(spans: readonly ByteSpan[], length: number): ByteSpan[] {
  const others: ByteSpan[] = [];
  let at = 0;
  for (const { from, to } of [...spans, { from: length, to: length }]) {
    if (from > at) others.push({ from: at, to: from });
    at = to;
  }
  return others;
}

/** Stored bytes that are left of a blob when it is rewritten for what is needed of it; about, as what is left may compress otherwise. */
export function bytesLeft(blob: BlobEntry, needed: readonly ByteSpan[]): number {
  if (!isDivisible(blob.kind)) return blob.frames.reduce((sum, { stored }) => sum + stored, 0);
  const plans = planFrames(blob, needed);
  return Math.ceil(blob.frames.reduce((sum, { stored }, i) => sum + stored * (plans[i]?.left ?? 1), 0));
}

/**
 * The frames of a blob for another pack, each opened and checked. Without `needed`, and where little is dead, they stay as
 * they are; else the blob keeps its id and its offsets and loses the bytes outside of `needed`. `pack`: all of its bytes.
 */
export function framesFor(
  blob: BlobEntry,
  pack: Uint8Array,
  key: Uint8Array | undefined,
  needed?: readonly ByteSpan[],
): CompressedFrame[] {
  const plans = needed === undefined || !isDivisible(blob.kind) ? undefined : planFrames(blob, needed);
  let at = blob.offset;
  return blob.frames.map((frame, i) => {
    const stored = pack.subarray(at, at + frame.stored);
    at += frame.stored;
    const { length, hash, codec, punched } = frame;
    const gone = plans?.[i]?.gone ?? punched?.gone ?? [];
    if (bytesOf(gone) === length) return { length, hash, codec: CODEC.raw, data: Buffer.alloc(0), punched: { gone } };
    const { data, raw } = unsealFrame(key, blob, i, stored);
    if (bytesOf(gone) === bytesOf(punched?.gone ?? [])) {
      return { length, hash, codec, data, ...(punched === undefined ? {} : { punched }) };
    }
    return punch(raw, gone, hash);
  });
}

function punch(raw: Uint8Array, gone: readonly ByteSpan[], hash: Uint8Array): CompressedFrame {
  const left = Buffer.from(raw);
  for (const { from, to } of gone) left.fill(0, from, to);
  const punched = { gone, hash: sha256(left) };
  const packed = zstdCompressSync(left, { params: { [constants.ZSTD_c_compressionLevel]: 3 } });
  return packed.length < left.length
    ? { length: left.length, hash, codec: CODEC.zstd, data: packed, punched }
    : { length: left.length, hash, codec: CODEC.raw, data: left, punched };
}
