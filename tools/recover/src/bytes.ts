import { Damage } from './errors.ts';

/** Reads a byte string from its start, and refuses to read past its end. */
export class Cursor {
  readonly bytes: Buffer;
  readonly what: string;
  at = 0;

  constructor(bytes: Buffer, what: string) {
    this.bytes = bytes;
    this.what = what;
  }

  get remaining(): number {
    return this.bytes.length - this.at;
  }

  u8(): number {
    const value = this.bytes[this.at];
    if (value === undefined) throw new Damage(`${this.what} ends too early`);
    this.at += 1;
    return value;
  }

  take(length: number): Buffer {
    if (length > this.remaining) throw new Damage(`${this.what} ends too early`);
    const part = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return part;
  }

  /** Unsigned LEB128 in its shortest form, as a bigint of up to 64 bits. */
  varint64(): bigint {
    let value = 0n;
    for (let i = 0; i < 10; i++) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) {
        if ((byte === 0 && i > 0) || (i === 9 && byte > 1)) break;
        return value;
      }
    }
    throw new Damage(`${this.what} holds a malformed number`);
  }

  /** The same, for sizes and counts: refuses what exceeds 2^53 - 1. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) {
        if ((byte === 0 && i > 0) || (i === 9 && byte > 1)) break;
        if (value > Number.MAX_SAFE_INTEGER) throw new Damage(`${this.what} holds a number that is too large`);
        return value;
      }
    }
    throw new Damage(`${this.what} holds a malformed number`);
  }

  zigzag64(): bigint {
    const value = this.varint64();
    return (value >> 1n) ^ -(value & 1n);
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  end(): void {
    if (this.remaining !== 0) throw new Damage(`${this.what} has bytes after its end`);
  }
}

/** Which tags of a record this reader knows: those that occur once, and lists. Known tags it has no use for are `ignored`. */
export interface Shape {
  readonly once: readonly number[];
  readonly lists?: readonly number[];
  readonly ignored?: readonly number[];
}

/** A decoded record: unknown even tags are skipped, an unknown odd tag refuses the record. */
export class Fields {
  readonly what: string;
  private readonly single = new Map<number, Buffer>();
  private readonly listed = new Map<number, Buffer[]>();

  constructor(bytes: Buffer, what: string, shape: Shape) {
    this.what = what;
    const cursor = new Cursor(bytes, what);
    while (cursor.remaining > 0) {
      const tag = cursor.varint();
      const value = cursor.take(cursor.varint());
      if (shape.lists?.includes(tag)) {
        const list = this.listed.get(tag);
        if (list) list.push(value);
        else this.listed.set(tag, [value]);
      } else if (shape.once.includes(tag)) {
        if (this.single.has(tag)) throw new Damage(`${what} holds field ${tag} twice`);
        this.single.set(tag, value);
      } else if (tag % 2 === 1 && !shape.ignored?.includes(tag)) {
        throw new Damage(`${what} holds field ${tag}, which only newer software understands`);
      }
    }
  }

  has(tag: number): boolean {
    return this.single.has(tag);
  }

  list(tag: number): readonly Buffer[] {
    return this.listed.get(tag) ?? [];
  }

  bytes(tag: number, length?: number): Buffer {
    const value = this.single.get(tag);
    if (value === undefined) throw new Damage(`${this.what} lacks field ${tag}`);
    if (length !== undefined && value.length !== length)
      throw new Damage(`${this.what}: field ${tag} has a wrong length`);
    return value;
  }

  number(tag: number): number {
    const cursor = new Cursor(this.bytes(tag), `${this.what}, field ${tag},`);
    const value = cursor.varint();
    cursor.end();
    return value;
  }

  optionalNumber(tag: number): number | undefined {
    return this.has(tag) ? this.number(tag) : undefined;
  }

  optionalSigned(tag: number): bigint | undefined {
    if (!this.has(tag)) return undefined;
    const cursor = new Cursor(this.bytes(tag), `${this.what}, field ${tag},`);
    const value = cursor.zigzag64();
    cursor.end();
    return value;
  }
}

/** Keeps the values used last, up to a total weight. */
export class Cache<Value> {
  private readonly limit: number;
  private readonly weigh: (value: Value) => number;
  private readonly dropped: (value: Value) => void;
  private readonly values = new Map<string, Value>();
  private weight = 0;

  constructor(limit: number, weigh: (value: Value) => number, dropped: (value: Value) => void = () => undefined) {
    this.limit = limit;
    this.weigh = weigh;
    this.dropped = dropped;
  }

  get(key: string): Value | undefined {
    const value = this.values.get(key);
    if (value !== undefined) {
      this.values.delete(key);
      this.values.set(key, value);
    }
    return value;
  }

  set(key: string, value: Value): void {
    this.drop(key);
    this.values.set(key, value);
    this.weight += this.weigh(value);
    for (const oldest of this.values.keys()) {
      if (this.weight <= this.limit || oldest === key) break;
      this.drop(oldest);
    }
  }

  clear(): void {
    for (const key of [...this.values.keys()]) this.drop(key);
  }

  private drop(key: string): void {
    const value = this.values.get(key);
    if (value === undefined) return;
    this.values.delete(key);
    this.weight -= this.weigh(value);
    this.dropped(value);
  }
}
