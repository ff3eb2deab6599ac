import { BackupError } from '@foodsave-backup/kernel';

/** What a parser throws when bytes are not what FORMAT.md says. The caller knows which object it was and says so. */
export function malformed(what: string): BackupError {
  return new BackupError('DATA_DAMAGED', `Malformed data: ${what}`, {
    hint: 'Run "check" to see which backups are affected.',
  });
}

const MAX_VARINT_BYTES = 10;
/** Of the ten groups of seven bits of a 64-bit number, those whose sum is a safe integer. */
const LOW_COUNT = 7;
const LOW_BITS = 49n;
const LOW_GROUPS = (1n << LOW_BITS) - 1n;
/** What the other three reach at most is below this: 64 bits in all. */
const HIGH_END = 2 ** 15;

/** Grows as it is written to; `finish()` gives the bytes written. */
export class ByteWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(initialBytes = 256) {
    this.#buffer = Buffer.allocUnsafe(initialBytes);
  }

  get length(): number {
    return this.#length;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + bytes));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }

  u8(value: number): this {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
    return this;
  }

  u32(value: number): this {
    this.#reserve(4);
    this.#length = this.#buffer.writeUInt32LE(value, this.#length);
    return this;
  }

  /** Unsigned LEB128 of a safe integer. */
  varint(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a varint: ${value}`);
    this.#reserve(MAX_VARINT_BYTES);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
    return this;
  }

  /** Zigzag varint of a signed 64-bit integer. */
  zigzag(value: bigint): this {
    const whole = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
    // In halves of seven-bit groups: arithmetic of big integers for each byte takes ten times as long.
    let low = Number(whole & LOW_GROUPS);
    let high = Number(whole >> LOW_BITS);
    this.#reserve(MAX_VARINT_BYTES);
    for (let i = 0; high > 0 ? i < LOW_COUNT : low >= 0x80; i++) {
      this.#buffer[this.#length++] = (low % 0x80) | 0x80;
      low = Math.floor(low / 0x80);
    }
    if (high === 0) {
      this.#buffer[this.#length++] = low;
      return this;
    }
    for (; high >= 0x80; high >>>= 7) this.#buffer[this.#length++] = (high & 0x7f) | 0x80;
    this.#buffer[this.#length++] = high;
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  /** A field of a record: tag, length, bytes. */
  field(tag: number, value: Uint8Array): this {
    return this.varint(tag).varint(value.length).bytes(value);
  }

  numberField(tag: number, value: number): this {
    this.varint(tag).u8(0);
    const start = this.#length;
    this.varint(value);
    this.#buffer[start - 1] = this.#length - start;
    return this;
  }

  zigzagField(tag: number, value: bigint): this {
    this.varint(tag).u8(0);
    const start = this.#length;
    this.zigzag(value);
    this.#buffer[start - 1] = this.#length - start;
    return this;
  }

  /** The bytes written; the writer must not be used afterwards. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}

/** Reads within its bounds and throws DATA_DAMAGED at the first byte that does not fit. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    const value = this.#bytes[this.#at];
    if (value === undefined) throw malformed('it ends too early');
    this.#at++;
    return value;
  }

  u32(): number {
    if (this.remaining < 4) throw malformed('it ends too early');
    const value = this.#bytes.readUInt32LE(this.#at);
    this.#at += 4;
    return value;
  }

  varint(): number {
    let value = 0;
    let factor = 1;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * factor;
      if (!Number.isSafeInteger(value)) throw malformed('a number is out of range');
      if (byte < 0x80) {
        if (byte === 0 && i > 0) throw malformed('a number is not in its shortest form');
        return value;
      }
      factor *= 0x80;
    }
    throw malformed('a number is too long');
  }

  zigzag(): bigint {
    let low = 0;
    let high = 0;
    let factor = 1;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = this.u8();
      if (i === LOW_COUNT) factor = 1;
      if (i < LOW_COUNT) low += (byte & 0x7f) * factor;
      else high += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        if ((byte === 0 && i > 0) || high >= HIGH_END) throw malformed('a number is out of range');
        const value = high === 0 ? BigInt(low) : (BigInt(high) << LOW_BITS) | BigInt(low);
        return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
      }
      factor *= 0x80;
    }
    throw malformed('a number is too long');
  }

  /** The number that fills the next `length` bytes. */
  numberIn(length: number): number {
    const end = this.#at + length;
    const value = this.varint();
    if (this.#at !== end) throw malformed('a number does not fill its field');
    return value;
  }

  zigzagIn(length: number): bigint {
    const end = this.#at + length;
    const value = this.zigzag();
    if (this.#at !== end) throw malformed('a number does not fill its field');
    return value;
  }

  /** A view, not a copy. */
  bytes(length: number): Buffer {
    if (length > this.remaining) throw malformed('it ends too early');
    const value = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return value;
  }

  end(): void {
    if (this.remaining !== 0) throw malformed('bytes are left over');
  }
}

/** The fields of a record, in order. Views, not copies. `single`: tags that may occur only once. */
export function* readFields(
  bytes: Uint8Array,
  single: readonly number[] = [],
): Generator<[tag: number, value: Buffer]> {
  const reader = new ByteReader(bytes);
  const seen = new Set<number>();
  while (reader.remaining > 0) {
    const tag = reader.varint();
    if (single.includes(tag)) {
      if (seen.has(tag)) throw malformed(`field ${tag} of a record occurs twice`);
      seen.add(tag);
    }
    yield [tag, reader.bytes(reader.varint())];
  }
}

/** For the default branch of a parser: an unknown odd tag is refused, an even one is skipped. */
export function unknownField(tag: number, where: string): void {
  if (tag % 2 === 1) {
    throw new BackupError('FORMAT_TOO_NEW', `Unknown required field ${tag} in ${where}`, {
      hint: 'This was written by a newer version. Update this software.',
    });
  }
}

/** The single number that fills a field. */
export function numberOf(value: Buffer): number {
  const reader = new ByteReader(value);
  const number = reader.varint();
  reader.end();
  return number;
}

export function idOf(value: Buffer): Buffer {
  if (value.length !== 32) throw malformed('an id does not have 32 bytes');
  return value;
}
