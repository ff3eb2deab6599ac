/** What the top level of a JSON document holds. Of containers below it only the number of their members is known. */
export type Outline =
  { kind: 'array'; length: number } | { kind: 'object'; members: ReadonlyMap<string, Member> } | { kind: 'scalar' };

export type Member =
  | { kind: 'array' | 'object'; length: number }
  | { kind: 'number'; value: number }
  /** Undefined for what is longer than anything that is looked for here. */
  | { kind: 'string'; value: string | undefined }
  | { kind: 'literal' };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Bytes of a key or of a string at the top level; what is longer has no name that anybody asks for. */
const TEXT_MAX = 4096;

/** What may come next, outside of a token. */
const Expect = { Value: 0, ValueOrEnd: 1, Key: 2, KeyOrEnd: 3, Colon: 4, CommaOrEnd: 5, Nothing: 6 } as const;
const Token = { None: 0, String: 1, Escape: 2, Hex: 3, Number: 4, Literal: 5 } as const;

/** The next state of a number by its state and the class of a character (digit, zero, `-`, `+`, `.`, `e`); -1: it is none. */
const NUMBER: readonly (readonly number[])[] = [
  [3, 2, 1, -1, -1, -1], // 0: nothing yet
  [3, 2, -1, -1, -1, -1], // 1: minus
  [-1, -1, -1, -1, 4, 6], // 2: a leading zero, which stands alone
  [3, 3, -1, -1, 4, 6], // 3: whole part
  [5, 5, -1, -1, -1, -1], // 4: point
  [5, 5, -1, -1, -1, 6], // 5: fraction
  [8, 8, 7, 7, -1, -1], // 6: e
  [8, 8, -1, -1, -1, -1], // 7: sign of the exponent
  [8, 8, -1, -1, -1, -1], // 8: exponent
];
const COMPLETE = new Set([2, 3, 5, 8]);
const LITERALS: Readonly<Record<number, string>> = { 0x74: 'true', 0x66: 'false', 0x6e: 'null' };
const ESCAPES = new Set(Buffer.from('"\\/bfnrt'));

/**
 * Reads a JSON document (RFC 8259) piece by piece and keeps what stands at its top level: a list of a million texts costs the
 * memory of one piece. Members of containers are counted as they are written, names that come twice included.
 */
export class JsonOutline {
  /** Containers that are open: true for an object. */
  readonly #open: boolean[] = [];
  readonly #members = new Map<string, Member>();
  #expect: number = Expect.Value;
  #token: number = Token.None;
  #number = 0;
  #literal = '';
  #matched = 0;
  #hex = 0;
  /** The string that is read is a name. */
  #isKey = false;
  /** Bytes of the key, string or number at the top level; undefined elsewhere and for what is too long. */
  #text: number[] | undefined;
  #key = '';
  #length = 0;
  #top: 'array' | 'object' | 'scalar' | undefined;
  #topLength = 0;

  /** Throws SyntaxError for what is not JSON. */
  push(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      if (this.#token === Token.String) {
        // Most bytes of a sidecar are those of texts.
        if (this.#text === undefined) {
          let byte = bytes[i] as number;
          while (byte !== QUOTE && byte !== BACKSLASH && byte >= 0x20 && ++i < bytes.length) byte = bytes[i] as number;
          if (i === bytes.length) return;
        }
        this.#inString(bytes[i] as number);
      } else this.#byte(bytes[i] as number);
    }
  }

  /** Throws SyntaxError when the document is cut off. */
  finish(): Outline {
    if (this.#token === Token.Number) this.#endNumber();
    if (this.#token !== Token.None || this.#expect !== Expect.Nothing) throw new SyntaxError('the JSON is cut off');
    if (this.#top === 'array') return { kind: 'array', length: this.#topLength };
    if (this.#top === 'object') return { kind: 'object', members: this.#members };
    return { kind: 'scalar' };
  }

  #byte(byte: number): void {
    if (this.#token === Token.Number) {
      const next = NUMBER[this.#number]?.[classOf(byte)];
      if (next !== undefined && next !== -1) {
        this.#number = next;
        this.#keep(byte);
        return;
      }
      this.#endNumber();
    } else if (this.#token !== Token.None) {
      this.#inToken(byte);
      return;
    }
    if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return;
    this.#outside(byte);
  }

  #inToken(byte: number): void {
    if (this.#token === Token.Literal) {
      if (this.#literal.charCodeAt(this.#matched) !== byte) throw unexpected(byte);
      if (++this.#matched === this.#literal.length) this.#value({ kind: 'literal' });
      return;
    }
    this.#keep(byte);
    if (this.#token === Token.Escape) {
      if (byte === 0x75) {
        this.#token = Token.Hex;
        this.#hex = 4;
      } else if (ESCAPES.has(byte)) this.#token = Token.String;
      else throw unexpected(byte);
      return;
    }
    if (!/[0-9a-fA-F]/.test(String.fromCharCode(byte))) throw unexpected(byte);
    if (--this.#hex === 0) this.#token = Token.String;
  }

  #inString(byte: number): void {
    if (byte === QUOTE) this.#endString();
    else if (byte < 0x20) throw unexpected(byte);
    else {
      this.#keep(byte);
      if (byte === BACKSLASH) this.#token = Token.Escape;
    }
  }

  #outside(byte: number): void {
    const expect = this.#expect;
    const wantsValue = expect === Expect.Value || expect === Expect.ValueOrEnd;
    const wantsKey = expect === Expect.Key || expect === Expect.KeyOrEnd;
    if (byte === QUOTE && (wantsValue || wantsKey)) this.#startString(wantsKey);
    else if (byte === 0x3a && expect === Expect.Colon) this.#expect = Expect.Value;
    else if (byte === 0x2c && expect === Expect.CommaOrEnd)
      this.#expect = this.#open.at(-1) === true ? Expect.Key : Expect.Value;
    else if (
      byte === 0x7d &&
      this.#open.at(-1) === true &&
      (expect === Expect.KeyOrEnd || expect === Expect.CommaOrEnd)
    )
      this.#close();
    else if (
      byte === 0x5d &&
      this.#open.at(-1) === false &&
      (expect === Expect.ValueOrEnd || expect === Expect.CommaOrEnd)
    )
      this.#close();
    else if (!wantsValue) throw unexpected(byte);
    else if (byte === 0x7b || byte === 0x5b) this.#enter(byte === 0x7b);
    else if (LITERALS[byte] !== undefined) {
      this.#token = Token.Literal;
      this.#literal = LITERALS[byte];
      this.#matched = 1;
    } else this.#startNumber(byte);
  }

  #startString(isKey: boolean): void {
    this.#token = Token.String;
    this.#isKey = isKey;
    this.#text = this.#open.length === 1 && this.#open[0] === true ? [] : undefined;
  }

  #endString(): void {
    const value = this.#text === undefined ? undefined : decoded(this.#text);
    this.#text = undefined;
    if (!this.#isKey) {
      this.#value({ kind: 'string', value });
      return;
    }
    this.#token = Token.None;
    this.#expect = Expect.Colon;
    if (this.#open.length === 1) this.#key = value ?? '';
  }

  #startNumber(byte: number): void {
    const state = NUMBER[0]?.[classOf(byte)] ?? -1;
    if (state === -1) throw unexpected(byte);
    this.#token = Token.Number;
    this.#number = state;
    this.#text = this.#open.length === 1 && this.#open[0] === true ? [byte] : undefined;
  }

  #endNumber(): void {
    if (!COMPLETE.has(this.#number)) throw new SyntaxError('a number of the JSON is cut off');
    const value = Number(Buffer.from(this.#text ?? []).toString('latin1'));
    this.#text = undefined;
    this.#value({ kind: 'number', value });
  }

  #enter(object: boolean): void {
    if (this.#open.length === 0) this.#top = object ? 'object' : 'array';
    if (this.#open.length === 1) this.#length = 0;
    this.#open.push(object);
    this.#expect = object ? Expect.KeyOrEnd : Expect.ValueOrEnd;
  }

  #close(): void {
    const object = this.#open.pop() === true;
    this.#value({ kind: object ? 'object' : 'array', length: this.#length });
  }

  /** A value has ended, and belongs to what is open now. */
  #value(member: Member): void {
    this.#token = Token.None;
    const depth = this.#open.length;
    this.#expect = depth === 0 ? Expect.Nothing : Expect.CommaOrEnd;
    if (depth === 0) this.#top ??= 'scalar';
    else if (depth === 1) {
      this.#topLength++;
      if (this.#open[0] === true) this.#members.set(this.#key, member);
    } else if (depth === 2) this.#length++;
  }

  #keep(byte: number): void {
    if (this.#text === undefined) return;
    if (this.#text.length === TEXT_MAX) this.#text = undefined;
    else this.#text.push(byte);
  }
}

function classOf(byte: number): number {
  if (byte >= 0x31 && byte <= 0x39) return 0;
  if (byte === 0x30) return 1;
  if (byte === 0x2d) return 2;
  if (byte === 0x2b) return 3;
  if (byte === 0x2e) return 4;
  return byte === 0x65 || byte === 0x45 ? 5 : -1;
}

function decoded(text: readonly number[]): string {
  return JSON.parse(`"${Buffer.from(text).toString('utf8')}"`) as string;
}

function unexpected(byte: number): SyntaxError {
  return new SyntaxError(`unexpected byte 0x${byte.toString(16).padStart(2, '0')} in the JSON`);
}
