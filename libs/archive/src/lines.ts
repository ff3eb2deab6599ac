import { archiveInvalid } from './errors.ts';

const NEWLINE = 0x0a;

/** The lines of a stream, without their newline; each at most `max` bytes, and the last one ended too. */
export async function* linesOf(
  stream: AsyncIterable<Uint8Array>,
  max: number,
  what: string,
): AsyncGenerator<Buffer, void, undefined> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of stream) {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      const line = bytes.subarray(start, end);
      if (rest.length + line.length > max) throw tooLong(what, max);
      yield rest.length === 0 ? line : Buffer.concat([rest, line]);
      rest = Buffer.alloc(0);
      start = end + 1;
    }
    if (rest.length + bytes.length - start > max) throw tooLong(what, max);
    // A copy: the piece may be a slice of something large.
    rest = Buffer.concat([rest, bytes.subarray(start)]);
  }
  if (rest.length > 0) throw archiveInvalid(`${what} does not end with a whole line`);
}

function tooLong(what: string, max: number): Error {
  return archiveInvalid(`a line of ${what} is longer than ${max} bytes`);
}
