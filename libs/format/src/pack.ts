import { BackupError } from '@foodsave-backup/kernel';
import { BLOB_KIND, checkFrames, blobKindOf, type BlobEntry, type Frame, type Punched } from './blob.ts';
import { ByteReader, ByteWriter, idOf, malformed, numberOf, readFields, unknownField } from './bytes.ts';
import { HEADER_BYTES, makeHeader, OBJECT_KIND, readHeader, type Folder } from './header.ts';
import type { RepositoryKeys } from './keys.ts';
import { LIMITS } from './limits.ts';
import { checkPunched, decodePunched, encodePunched } from './punched.ts';
import { decompress, decrypt, openPart, portableSealing, sealPart, sha256, TAG_BYTES, type Sealing } from './seal.ts';

export const FOOTER_BYTES = 16;
const FOOTER_MAGIC = Buffer.from('FSBPKEND', 'latin1');

function frameNonce(ordinal: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32LE(1, 0);
  nonce.writeBigUInt64LE(BigInt(ordinal), 4);
  return nonce;
}

export function directoryNonce(): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32LE(2, 0);
  return nonce;
}

function frameContext(id: Uint8Array, kind: number, frameInBlob: number, length: number, codec: number): Buffer {
  const aad = Buffer.allocUnsafe(42);
  aad.set(id, 0);
  aad[32] = kind;
  aad.writeUInt32LE(frameInBlob, 33);
  aad.writeUInt32LE(length, 37);
  aad[41] = codec;
  return aad;
}

export interface CompressedFrame {
  length: number;
  hash: Uint8Array;
  codec: number;
  /** Compressed or raw bytes, not yet encrypted; none of a frame of which nothing is left. */
  data: Uint8Array;
  punched?: Punched;
}

/** Where a pack gets its memory from, and where what it has outgrown goes. */
export interface Memory {
  /** At least `length` bytes that hold anything. */
  take(length: number): Buffer;
  give(buffer: Buffer): void;
}

const FRESH: Memory = { take: (length) => Buffer.allocUnsafeSlow(length), give: () => undefined };
const FIRST_BYTES = 256 * 1024;
/** What comes after that: room for a whole pack. Memory that nobody has written to costs nothing. */
const USUAL_BYTES = 12 * 1024 * 1024;
const GROWTH = 4 * 1024 * 1024;

/** Assembles one pack in memory. `salt`: 32 random bytes. */
export class PackBuilder {
  readonly folder: Folder;
  readonly #keys: RepositoryKeys;
  readonly #header;
  readonly #key: Buffer | undefined;
  readonly #memory: Memory;
  readonly #sealing: Sealing;
  #bytes: Buffer;
  readonly #blobs: BlobEntry[] = [];
  #size = 0;
  #frames = 0;

  /** `memory`: gets the bytes of `finish` back from whoever finished. */
  constructor(
    keys: RepositoryKeys,
    folder: Folder,
    salt: Uint8Array,
    { memory = FRESH, sealing = portableSealing }: { memory?: Memory; sealing?: Sealing } = {},
  ) {
    this.folder = folder;
    this.#keys = keys;
    this.#header = makeHeader(keys, OBJECT_KIND.pack, folder, salt);
    this.#key = keys.encrypted ? keys.objectKey(OBJECT_KIND.pack, this.#header.salt) : undefined;
    this.#memory = memory;
    this.#sealing = sealing;
    this.#bytes = memory.take(FIRST_BYTES);
    this.#append(this.#header.bytes);
  }

  /** Bytes so far, without directory and footer. */
  get size(): number {
    return this.#size;
  }

  get blobCount(): number {
    return this.#blobs.length;
  }

  add(kind: BlobEntry['kind'], id: Buffer, frames: readonly CompressedFrame[]): BlobEntry {
    const entry: BlobEntry = { kind, id, offset: this.#size, firstFrame: this.#frames, frames: [] };
    frames.forEach((frame, i) => {
      const before = this.#size;
      if (this.#key === undefined || frame.data.length === 0) this.#append(frame.data);
      else this.#seal(this.#key, frameContext(id, kind, i, frame.length, frame.codec), frame.data);
      const stored = this.#size - before;
      this.#frames++;
      const { length, codec, hash, punched } = frame;
      entry.frames.push({ length, stored, codec, hash, ...(punched === undefined ? {} : { punched }) });
    });
    checkFrames(entry.frames);
    checkPunched(entry.frames);
    this.#blobs.push(entry);
    return entry;
  }

  /** The whole pack; its name is the SHA-256 of `bytes`. */
  finish(): { bytes: Buffer; blobs: BlobEntry[] } {
    const directory = encodeDirectory(this.#blobs);
    const sealed = sealPart(
      this.#keys,
      OBJECT_KIND.pack,
      this.#header.salt,
      directoryNonce(),
      this.#header.bytes,
      directory,
    );
    const footer = Buffer.alloc(FOOTER_BYTES);
    footer.writeUInt32LE(sealed.length, 0);
    FOOTER_MAGIC.copy(footer, 8);
    this.#append(sealed);
    this.#append(footer);
    return { bytes: this.#bytes.subarray(0, this.#size), blobs: this.#blobs };
  }

  #append(part: Uint8Array): void {
    this.#reserve(part.length);
    this.#bytes.set(part, this.#size);
    this.#size += part.length;
  }

  #seal(key: Buffer, context: Buffer, data: Uint8Array): void {
    this.#reserve(data.length + TAG_BYTES);
    this.#size += this.#sealing(key, frameNonce(this.#frames), context, data, this.#bytes.subarray(this.#size));
  }

  #reserve(length: number): void {
    const needed = this.#size + length;
    if (needed <= this.#bytes.length) return;
    const grown = this.#memory.take(needed <= USUAL_BYTES ? USUAL_BYTES : needed + GROWTH);
    this.#bytes.copy(grown, 0, 0, this.#size);
    this.#memory.give(this.#bytes);
    this.#bytes = grown;
  }
}

export function encodeDirectory(blobs: readonly BlobEntry[]): Buffer {
  const writer = new ByteWriter(blobs.length * 128 + 16);
  for (const blob of blobs) {
    const frames = new ByteWriter(blob.frames.length * 40);
    for (const frame of blob.frames) frames.varint(frame.length).varint(frame.stored).u8(frame.codec).bytes(frame.hash);
    const record = new ByteWriter(frames.length + 64)
      .numberField(1, blob.kind)
      .field(3, blob.id)
      .numberField(5, blob.offset)
      .numberField(7, blob.firstFrame)
      .field(9, frames.finish());
    const punched = encodePunched(blob.frames);
    if (punched !== undefined) record.field(11, punched);
    writer.field(1, record.finish());
  }
  return writer.finish();
}

function decodeFrames(value: Uint8Array): Frame[] {
  const frames: Frame[] = [];
  const reader = new ByteReader(value);
  while (reader.remaining > 0) {
    frames.push({ length: reader.varint(), stored: reader.varint(), codec: reader.u8(), hash: reader.bytes(32) });
    if (frames.length > LIMITS.framesPerBlob) throw malformed('number of frames of a blob');
  }
  checkFrames(frames);
  return frames;
}

function decodeBlob(record: Uint8Array): BlobEntry {
  const blob: Partial<BlobEntry> = {};
  let holes: Uint8Array | undefined;
  for (const [tag, value] of readFields(record, [1, 3, 5, 7, 9, 11])) {
    if (tag === 1) blob.kind = blobKindOf(numberOf(value));
    else if (tag === 3) blob.id = idOf(value);
    else if (tag === 5) blob.offset = numberOf(value);
    else if (tag === 7) blob.firstFrame = numberOf(value);
    else if (tag === 9) blob.frames = decodeFrames(value);
    else if (tag === 11) holes = value;
    else unknownField(tag, 'a pack directory');
  }
  const { kind, id, offset, firstFrame, frames } = blob;
  if (
    kind === undefined ||
    id === undefined ||
    offset === undefined ||
    firstFrame === undefined ||
    frames === undefined
  ) {
    throw malformed('a blob of a directory is incomplete');
  }
  if (holes !== undefined) {
    if (!isDivisible(kind)) throw malformed('a blob of this kind is never punched');
    decodePunched(holes, frames);
  }
  checkPunched(frames);
  return { kind, id, offset, firstFrame, frames };
}

/** Only blobs that files point into can be needed in part; nodes and page hashes are read as a whole. */
export function isDivisible(kind: BlobEntry['kind']): boolean {
  return kind === BLOB_KIND.data || kind === BLOB_KIND.pages;
}

/** The blobs of a directory record. `packBytes`: size of the pack, which no blob may exceed. */
export function decodeDirectory(record: Uint8Array, packBytes: number): BlobEntry[] {
  const blobs: BlobEntry[] = [];
  for (const [tag, value] of readFields(record)) {
    if (tag !== 1) {
      unknownField(tag, 'a pack directory');
      continue;
    }
    const blob = decodeBlob(value);
    let end = blob.offset;
    for (const frame of blob.frames) end += frame.stored;
    if (blob.offset < HEADER_BYTES || end > packBytes) throw malformed('a blob lies outside its pack');
    blobs.push(blob);
  }
  return blobs;
}

/** Where the sealed directory lies, from the last 16 bytes of a pack of `packBytes` bytes. */
export function readFooter(footer: Uint8Array, packBytes: number): { offset: number; length: number } {
  const bytes = Buffer.from(footer.buffer, footer.byteOffset, footer.byteLength);
  if (bytes.length !== FOOTER_BYTES || !bytes.subarray(8).equals(FOOTER_MAGIC) || bytes.readUInt32LE(4) !== 0) {
    throw malformed('a pack has no valid end');
  }
  if (packBytes > LIMITS.packBytes) throw malformed('a pack is too large');
  const length = bytes.readUInt32LE(0);
  const offset = packBytes - FOOTER_BYTES - length;
  if (offset < HEADER_BYTES) throw malformed('a pack is shorter than its directory');
  return { offset, length };
}

export function openDirectory(
  keys: RepositoryKeys,
  header: Uint8Array,
  sealed: Uint8Array,
  packBytes: number,
): { folder: Folder; blobs: BlobEntry[]; record: Uint8Array } {
  const parsed = readHeader(keys, header, OBJECT_KIND.pack);
  const record = openPart(keys, OBJECT_KIND.pack, parsed.salt, directoryNonce(), parsed.bytes, sealed);
  return { folder: parsed.folder, blobs: decodeDirectory(record, packBytes), record };
}

/** The key of the frames of a pack; `undefined` without encryption. */
export function packKey(keys: RepositoryKeys, header: Uint8Array): Buffer | undefined {
  const parsed = readHeader(keys, header, OBJECT_KIND.pack);
  return keys.encrypted ? keys.objectKey(OBJECT_KIND.pack, parsed.salt) : undefined;
}

/** Decrypts, decompresses and compares one stored frame. Throws DATA_DAMAGED. */
export function openFrame(
  key: Uint8Array | undefined,
  blob: BlobEntry,
  frameInBlob: number,
  stored: Uint8Array,
): Uint8Array {
  return unsealFrame(key, blob, frameInBlob, stored).raw;
}

/** As `openFrame`; `data` is the frame as it was before encryption, to be put into another pack. */
export function unsealFrame(
  key: Uint8Array | undefined,
  blob: BlobEntry,
  frameInBlob: number,
  stored: Uint8Array,
): { data: Uint8Array; raw: Uint8Array } {
  const { frame, nonce, context } = sealOfFrame(blob, frameInBlob, stored);
  const data = key === undefined ? stored : decrypt(key, nonce, context, stored);
  const raw = decompress(frame.codec, data, frame.length);
  assertFrame(frame, sha256(raw));
  return { data, raw };
}

/** What `stored`, the bytes of a frame in its pack, was encrypted with beside the key. Throws DATA_DAMAGED when it cannot be that frame. */
export function sealOfFrame(
  blob: BlobEntry,
  frameInBlob: number,
  stored: Uint8Array,
): { frame: Frame; nonce: Buffer; context: Buffer } {
  const frame = blob.frames[frameInBlob];
  if (frame?.stored !== stored.length || stored.length === 0) throw malformed('a frame is not where the index says');
  return {
    frame,
    nonce: frameNonce(blob.firstFrame + frameInBlob),
    context: frameContext(blob.id, blob.kind, frameInBlob, frame.length, frame.codec),
  };
}

/** Throws DATA_DAMAGED unless `hash` is the SHA-256 that the bytes of a frame must have. */
export function assertFrame(frame: Frame, hash: Buffer): void {
  if (hash.equals(frame.punched?.hash ?? frame.hash)) return;
  throw new BackupError('DATA_DAMAGED', 'A frame does not match its SHA-256', { hint: 'Run "check --read-data".' });
}
