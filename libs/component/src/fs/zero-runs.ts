/** Runs of zeros this long become holes too, also of files whose backup knows of none. */
const HOLE_BYTES = 64 * 1024;
const ZEROS = Buffer.alloc(HOLE_BYTES);

/** The parts of a piece between whole runs of zeros. */
export function* dataRuns(piece: Uint8Array): Generator<[from: number, to: number]> {
  for (let at = 0; at < piece.length;) {
    const end = dataEnd(piece, at);
    if (end > at) yield [at, end];
    at = end === at ? at + HOLE_BYTES : end;
  }
}

/** Where the data that starts at `at` ends: at the next whole run of zeros, or at the end of the piece. */
function dataEnd(piece: Uint8Array, at: number): number {
  let end = at;
  while (end + HOLE_BYTES <= piece.length && ZEROS.compare(piece, end, end + HOLE_BYTES) !== 0) end += HOLE_BYTES;
  return end + HOLE_BYTES <= piece.length ? end : piece.length;
}
