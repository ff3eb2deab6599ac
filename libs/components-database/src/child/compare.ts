import { open, rm } from 'node:fs/promises';
import { readFully } from '@foodsave-backup/component';
import { parseHeader } from '../header.ts';
import type { SqliteBinding } from './binding.ts';
import { captureDatabase } from './capture.ts';
import { readHeader, removeSidecars } from './files.ts';
import type { ChildOperations } from './protocol.ts';

const PIECE = 1 << 20;
const SCHEMA_COOKIE = 40;
/**
 * Fields of the header that the backup API sets anew in its target (sqlite.org/fileformat2.html, section 1.3): journal mode,
 * change counter, schema cookie, version-valid-for and library version.
 */
const OWN_FIELDS: readonly (readonly [from: number, to: number])[] = [
  [18, 20],
  [24, 28],
  [SCHEMA_COOKIE, 44],
  [92, 100],
];

/** Whether the live database is what the backup API makes of `staged`, byte for byte but for fields of the header. */
export async function compareDatabases(
  binding: SqliteBinding,
  { live, staged, snapshot, busyTimeoutMs }: ChildOperations['compare']['request'],
): Promise<ChildOperations['compare']['response']> {
  try {
    await captureDatabase(binding, { path: live, snapshot, busyTimeoutMs }, () => undefined);
    const header = Buffer.from(await readHeader(snapshot));
    const known = parseHeader(header) !== undefined;
    return {
      same: known && (await equal(snapshot, staged)),
      schemaVersion: known ? header.readUInt32BE(SCHEMA_COOKIE) : 0,
    };
  } finally {
    await rm(snapshot, { force: true });
    await removeSidecars(snapshot);
  }
}

async function equal(a: string, b: string): Promise<boolean> {
  const [left, right] = [await open(a, 'r'), await open(b, 'r')];
  try {
    for (let position = 0; ; position += PIECE) {
      const [one, other] = [await piece(left, position), await piece(right, position)];
      if (position === 0)
        for (const bytes of [one, other]) for (const [from, to] of OWN_FIELDS) bytes.fill(0, from, to);
      if (!one.equals(other)) return false;
      if (one.length < PIECE) return true;
    }
  } finally {
    await left.close();
    await right.close();
  }
}

async function piece(file: Awaited<ReturnType<typeof open>>, position: number): Promise<Buffer> {
  const bytes = Buffer.alloc(PIECE);
  return bytes.subarray(0, await readFully(file, bytes, position));
}
