/** Bytes of the header at the start of every SQLite database. */
export const HEADER_BYTES = 100;
const MAGIC = Buffer.from('SQLite format 3\0', 'latin1');

/** What the header of a SQLite file says (sqlite.org/fileformat2.html, section 1.3). */
export interface SqliteHeader {
  /** Bytes, a power of two from 512 to 65536. */
  pageSize: number;
  /** Whether readers and writers of this file use a write-ahead log. */
  wal: boolean;
  autoVacuum: 'none' | 'full' | 'incremental';
}

/** Reads the header, or `undefined` when the bytes are not the start of a SQLite database that is not encrypted. */
export function parseHeader(bytes: Uint8Array): SqliteHeader | undefined {
  if (bytes.length < HEADER_BYTES || !MAGIC.equals(bytes.subarray(0, MAGIC.length))) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const raw = view.getUint16(16);
  const pageSize = raw === 1 ? 65_536 : raw;
  if (pageSize < 512 || (pageSize & (pageSize - 1)) !== 0) return undefined;
  const incremental = view.getUint32(64) !== 0;
  return {
    pageSize,
    wal: view.getUint8(18) === 2 || view.getUint8(19) === 2,
    autoVacuum: view.getUint32(52) === 0 ? 'none' : incremental ? 'incremental' : 'full',
  };
}
