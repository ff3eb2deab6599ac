import { join } from 'node:path';
import { Cache, Cursor, Fields } from './bytes.ts';
import { Damage } from './errors.ts';
import { readSmallFile } from './json-file.ts';
import { listFolder, Packs } from './packs.ts';
import { decode, hmac, MAX_CONTENT, OBJECT, openGcm, openSealed, sha256, type Keys } from './sealed.ts';

export const KIND = { data: 1, pages: 2, pageHashes: 3, extents: 4, tree: 5 } as const;
const MAX_BLOB = 16 * 1024 * 1024;
const MAX_FRAME = 4 * 1024 * 1024;
const MAX_FRAMES = 4096;
const FRAME_CACHE = 96 * 1024 * 1024;
const BLOB_CACHE = 1024;

interface Frame {
  readonly length: number;
  readonly stored: number;
  readonly codec: number;
  readonly hash: Buffer;
  /** Where it starts in the blob. */
  readonly start: number;
  /** Where it starts in the pack. */
  readonly offset: number;
  /** What of it was taken out, as no backup needed it. */
  readonly holes: readonly Hole[];
  /** SHA-256 of it with zeros in its holes; `hash` where it has none. */
  readonly storedHash: Buffer;
}

/** Bytes `start` to before `end` of a frame. */
interface Hole {
  readonly start: number;
  readonly end: number;
}

export interface Blob {
  readonly id: Buffer;
  readonly kind: number;
  readonly length: number;
  readonly firstFrame: number;
  readonly frames: readonly Frame[];
}

/** One place where a blob lies: the pack's name, and the blob's record in that pack's directory. */
interface Copy {
  readonly pack: string;
  readonly record: Buffer;
}

/** A stretch of a blob: its bytes, or why they are lost. */
export type Part =
  { readonly length: number; readonly bytes: Buffer } | { readonly length: number; readonly lost: string };

/** All blobs of a repository, wherever they lie. Nothing it returns is unchecked: each frame's hash is compared, each id recomputed. */
export class Blobs {
  readonly packs: Packs;
  readonly keys: Keys;
  /** What was found damaged on the way, each named once, also where another copy helped. */
  readonly damage = new Set<string>();
  /** Called before a pack's frames are used. */
  onPack: (name: string) => void = () => undefined;
  private readonly note: (text: string) => void;
  private readonly copies = new Map<string, Copy | Copy[]>();
  private readonly blobs = new Cache<{ record: Buffer; blob: Blob }>(BLOB_CACHE, () => 1);
  private readonly frames = new Cache<Buffer>(FRAME_CACHE, (bytes) => bytes.length);
  private scanned = false;

  constructor(directory: string, keys: Keys, note: (text: string) => void) {
    this.keys = keys;
    this.note = note;
    this.packs = new Packs(directory, keys);
    const files = listFolder(join(directory, 'index')).filter((file) => file.endsWith('.idx'));
    let lost = files.length === 0 && this.packs.names().length > 0 ? 'there is no index' : '';
    for (const file of files) {
      try {
        this.readIndexFile(directory, file);
      } catch (error) {
        if (!(error instanceof Damage)) throw error;
        this.damage.add(error.message);
        lost = error.message;
      }
    }
    if (lost !== '') this.scanPacks(lost);
  }

  /** The record of a blob of one of these kinds, its id recomputed. */
  describe(id: Buffer, kinds: readonly number[]): Blob {
    const blob = this.blobs.get(id.toString('latin1'))?.blob ?? this.firstGood(id, (copy) => this.parsed(id, copy));
    if (!kinds.includes(blob.kind))
      throw new Damage(`blob ${short(id)} is of kind ${blob.kind}, which does not belong here`);
    return blob;
  }

  has(id: Buffer): boolean {
    return this.copies.has(id.toString('latin1'));
  }

  /**
   * One frame, uncompressed and compared with its hash; from another copy of the blob when the first is damaged, or has a hole
   * in the bytes `from` to before `to`.
   */
  private frame(id: Buffer, number: number, from = 0, to = Infinity): Buffer {
    return this.firstGood(id, (copy) => {
      const holes = this.parsed(id, copy).frames[number]?.holes ?? [];
      if (holes.some((hole) => hole.start < to && hole.end > from)) return undefined;
      return this.readFrame(id, copy, number);
    });
  }

  /** What is stored of a frame, with zeros in its holes; undefined when nothing is. */
  remains(id: Buffer, number: number): { bytes: Buffer; holes: readonly Hole[] } | undefined {
    const found = this.firstGood(id, (copy) => {
      const frame = this.parsed(id, copy).frames[number];
      if (frame?.stored === 0) return 'nothing' as const;
      return { bytes: this.readFrame(id, copy, number), holes: frame?.holes ?? [] };
    });
    return found === 'nothing' ? undefined : found;
  }

  /** A whole blob of a tree or extent node. */
  whole(id: Buffer, kind: number): Buffer {
    const blob = this.describe(id, [kind]);
    return Buffer.concat(blob.frames.map((_, number) => this.frame(id, number)));
  }

  /** `length` bytes of a blob from `offset`, frame by frame; what cannot be read is skipped and named. */
  *range(id: Buffer, kinds: readonly number[], offset: number, length: number): Generator<Part> {
    let blob: Blob;
    try {
      blob = this.describe(id, kinds);
      if (offset + length > blob.length)
        throw new Damage(`blob ${short(id)} is shorter than the file that uses it says`);
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      yield { length, lost: error.message };
      return;
    }
    let at = offset;
    for (let number = frameAt(blob, offset); at < offset + length; number++) {
      const frame = blob.frames[number];
      if (!frame) throw new Damage(`blob ${short(id)} is cut off`);
      const end = Math.min(offset + length, frame.start + frame.length);
      yield this.part(id, number, at - frame.start, end - at);
      at = end;
    }
  }

  close(): void {
    this.packs.close();
  }

  private part(id: Buffer, number: number, from: number, length: number): Part {
    try {
      return { length, bytes: this.frame(id, number, from, from + length).subarray(from, from + length) };
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      return { length, lost: error.message };
    }
  }

  /** `use` gives undefined for a copy that lacks what is wanted and is sound. */
  private firstGood<Result>(id: Buffer, use: (copy: Copy) => Result | undefined): Result {
    const key = id.toString('latin1');
    let failure = '';
    for (let tried = 0; ;) {
      const found = this.copies.get(key) ?? [];
      const copies = Array.isArray(found) ? found : [found];
      for (const copy of copies.slice(tried)) {
        try {
          const result = use(copy);
          if (result !== undefined) return result;
          if (failure === '') failure = `a part of blob ${short(id)} was taken out, as no backup needed it`;
        } catch (error) {
          if (!(error instanceof Damage)) throw error;
          this.damage.add(error.message);
          failure = error.message;
        }
      }
      tried = copies.length;
      if (this.scanned) throw new Damage(failure === '' ? `blob ${short(id)} is in no pack` : failure);
      this.scanPacks(failure === '' ? `blob ${short(id)} is not in the index` : failure);
    }
  }

  private parsed(id: Buffer, copy: Copy): Blob {
    const key = id.toString('latin1');
    const cached = this.blobs.get(key);
    if (cached?.record === copy.record) return cached.blob;
    const blob = readBlob(copy.record, this.keys);
    this.blobs.set(key, { record: copy.record, blob });
    return blob;
  }

  private readFrame(id: Buffer, copy: Copy, number: number): Buffer {
    const blob = this.parsed(id, copy);
    const frame = blob.frames[number];
    if (!frame) throw new Damage(`blob ${short(blob.id)} lacks frame ${number}`);
    this.onPack(copy.pack);
    // With holes, it is not the same in every pack.
    const name = `${id.toString('latin1')}${number}${frame.holes.length > 0 ? copy.pack : ''}`;
    const cached = this.frames.get(name);
    if (cached) return cached;
    const { bytes, key } = this.packs.read(copy.pack, frame.offset, frame.stored);
    const what = `blob ${short(blob.id)} in ${this.packs.describe(copy.pack)}`;
    const content = key ? openFrame(key, blob, frame, number, bytes, what) : bytes;
    const plain = decode(frame.codec, content, frame.length, frame.length, what);
    if (!sha256(plain).equals(frame.storedHash)) throw new Damage(`${what} is damaged (SHA-256)`);
    this.frames.set(name, plain);
    return plain;
  }

  private readIndexFile(directory: string, file: string): void {
    const what = `index file index/${file}`;
    const bytes = readSmallFile(join(directory, 'index', file), MAX_CONTENT + 1024 * 1024, what);
    if (`${sha256(bytes).toString('hex')}.idx` !== file)
      throw new Damage(`${what} is damaged: its SHA-256 is not its name`);
    const index = new Fields(openSealed(bytes, OBJECT.index, this.keys, what), what, { once: [], lists: [1] });
    for (const record of index.list(1)) {
      const pack = new Fields(record, `a pack in ${what}`, { once: [1, 3, 5, 7] });
      this.addDirectory(pack.bytes(1, 32).toString('hex'), pack.bytes(7), what);
    }
  }

  /** What the index holds is in the packs too: reads the directory at the end of every pack. */
  private scanPacks(why: string): void {
    this.scanned = true;
    const names = this.packs.names();
    this.note(`${why}. Reading the directories of all ${names.length} packs instead of the index.`);
    for (const name of names) {
      try {
        this.addDirectory(name, this.packs.directoryOf(name), this.packs.describe(name));
      } catch (error) {
        if (!(error instanceof Damage)) throw error;
        this.damage.add(error.message);
      }
    }
  }

  private addDirectory(pack: string, directory: Buffer, what: string): void {
    for (const record of new Fields(directory, `the directory in ${what}`, { once: [], lists: [1] }).list(1)) {
      try {
        const id = new Fields(record, `a blob in ${what}`, BLOB_SHAPE).bytes(3, 32).toString('latin1');
        const known = this.copies.get(id);
        const copies = known === undefined ? [] : Array.isArray(known) ? known : [known];
        if (copies.some((copy) => copy.pack === pack && copy.record.equals(record))) continue;
        this.copies.set(id, copies.length === 0 ? { pack, record } : [...copies, { pack, record }]);
      } catch (error) {
        if (!(error instanceof Damage)) throw error;
        this.damage.add(error.message);
      }
    }
  }
}

const BLOB_SHAPE = { once: [1, 3, 5, 7, 9, 11] };

/** The id of the page hashes that belong to a pages blob. */
export function pageHashesId(keys: Keys, pages: Buffer): Buffer {
  return hmac(keys.blobId, Buffer.of(KIND.pageHashes), pages);
}

export function short(id: Buffer): string {
  return id.toString('hex', 0, 8);
}

function readBlob(record: Buffer, keys: Keys): Blob {
  const fields = new Fields(record, 'a blob in a directory', BLOB_SHAPE);
  const id = fields.bytes(3, 32);
  const what = `blob ${short(id)}`;
  const kind = fields.number(1);
  const cursor = new Cursor(fields.bytes(9), `the list of frames of ${what}`);
  const punched = fields.has(11) ? readPunched(fields.bytes(11), what) : new Map<number, Punched>();
  if (punched.size > 0 && kind !== KIND.data && kind !== KIND.pages) {
    throw new Damage(`${what} has holes, which its kind cannot have`);
  }
  const frames: Frame[] = [];
  const identity: Buffer[] = [Buffer.of(kind & 0xff)];
  let start = 0;
  let offset = fields.number(5);
  while (cursor.remaining > 0) {
    const length = cursor.varint();
    const stored = cursor.varint();
    const codec = cursor.u8();
    const hash = cursor.take(32);
    if (length < 1 || length > MAX_FRAME || frames.length === MAX_FRAMES)
      throw new Damage(`${what} has a frame beyond the limits`);
    const found = holesOf(punched.get(frames.length), { length, stored, codec, hash }, what);
    punched.delete(frames.length);
    frames.push({ length, stored, codec, hash, start, offset, ...found });
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32LE(length);
    identity.push(prefix, hash);
    start += length;
    offset += stored;
  }
  if (frames.length === 0 || start > MAX_BLOB) throw new Damage(`${what} is beyond the limits`);
  if (punched.size > 0 || frames.every(({ stored }) => stored === 0)) {
    throw new Damage(`${what} has holes that do not fit`);
  }
  // The id of page hashes names the blob they belong to; their content is compared with that blob's pages instead.
  if (kind > 255 || (kind !== KIND.pageHashes && !hmac(keys.blobId, ...identity).equals(id))) {
    throw new Damage(`${what} is damaged: its frames are not those that its id stands for`);
  }
  return { id, kind, length: start, firstFrame: fields.number(7), frames };
}

interface Punched {
  /** None: all of the frame is gone. */
  readonly holes: readonly Hole[];
  readonly hash: Buffer;
}

/** What was taken out of frames, by their numbers. */
function readPunched(value: Buffer, what: string): Map<number, Punched> {
  const frames = new Map<number, Punched>();
  const cursor = new Cursor(value, `the holes of ${what}`);
  let last = -1;
  while (cursor.remaining > 0) {
    const number = cursor.varint();
    if (number <= last || number >= MAX_FRAMES) throw new Damage(`${what} has holes in frames that are out of order`);
    last = number;
    const holes: Hole[] = [];
    for (let left = cursor.varint(), end = 0; left > 0; left--) {
      const start = end + cursor.varint();
      if (holes.length > 0 && start === end) throw new Damage(`${what} has holes that touch`);
      end = start + cursor.varint();
      if (end === start) throw new Damage(`${what} has an empty hole`);
      holes.push({ start, end });
    }
    frames.set(number, { holes, hash: holes.length === 0 ? Buffer.alloc(0) : cursor.take(32) });
  }
  if (frames.size === 0) throw new Damage(`${what} has an empty list of holes`);
  return frames;
}

/** The holes of one frame, which must fit its length and what is stored of it. */
function holesOf(
  punched: Punched | undefined,
  frame: { length: number; stored: number; codec: number; hash: Buffer },
  what: string,
): Pick<Frame, 'holes' | 'storedHash'> {
  const { length, stored, codec, hash } = frame;
  const gone = (punched?.holes.length ?? 1) === 0;
  const [first] = punched?.holes ?? [];
  const beyond = (punched?.holes.at(-1)?.end ?? 0) > length || (first?.start === 0 && first.end === length);
  if (gone !== (stored === 0) || (gone && codec !== 0) || beyond) throw new Damage(`${what} has holes that do not fit`);
  if (gone) return { holes: [{ start: 0, end: length }], storedHash: hash };
  return { holes: punched?.holes ?? [], storedHash: punched?.hash ?? hash };
}

function openFrame(key: Buffer, blob: Blob, frame: Frame, number: number, sealed: Buffer, what: string): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32LE(1, 0);
  nonce.writeBigUInt64LE(BigInt(blob.firstFrame + number), 4);
  const additional = Buffer.alloc(42);
  blob.id.copy(additional, 0);
  additional.writeUInt8(blob.kind, 32);
  additional.writeUInt32LE(number, 33);
  additional.writeUInt32LE(frame.length, 37);
  additional.writeUInt8(frame.codec, 41);
  return openGcm(key, nonce, additional, sealed, what);
}

function frameAt(blob: Blob, offset: number): number {
  let low = 0;
  let high = blob.frames.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((blob.frames[middle]?.start ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
