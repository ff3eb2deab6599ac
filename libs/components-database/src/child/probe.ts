import { realpath } from 'node:fs/promises';
import { resultName, type SqliteBinding } from './binding.ts';
import { lookAt } from './capture.ts';
import { sourceError } from './errors.ts';
import { statIfThere } from './files.ts';
import type { ChildOperations } from './protocol.ts';

/**
 * A cheap look at a database: its size, mode and count of tables. Opens it only where that leaves nothing behind. Throws the
 * SOURCE_ codes.
 */
export async function probeDatabase(
  binding: SqliteBinding,
  { path, busyTimeoutMs }: ChildOperations['probe']['request'],
): Promise<ChildOperations['probe']['response']> {
  try {
    const source = await realpath(path);
    const header = await lookAt(source, path);
    const size = (await statIfThere(source))?.size ?? 0n;
    const log = await statIfThere(`${source}-wal`);
    const bytes = Number(size) + Number(log?.size ?? 0n);
    if (header === undefined) return { bytes: 4_096, tables: 0, journalMode: 'empty' };
    const journalMode = header.wal ? 'wal' : 'rollback';
    // Not in use, see capture.ts; the header has already said what can be said without opening.
    if (header.wal && log === undefined) return { bytes, tables: null, journalMode };
    return { bytes, tables: await countTables(binding, source, busyTimeoutMs), journalMode };
  } catch (error) {
    throw sourceError(error, path);
  }
}

/** `null` where SQLite cannot say without writing (a hot journal) or because of damage: a capture deals with both. */
async function countTables(binding: SqliteBinding, source: string, busyTimeoutMs: number): Promise<number | null> {
  const connection = await binding.open(source, { mode: 'readonly', busyTimeoutMs });
  try {
    const [row] = await connection.all(
      "SELECT count(*) AS tables FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    );
    return Number(row?.['tables'] ?? 0);
  } catch (error) {
    if (['CORRUPT', 'READONLY', 'CANTOPEN'].includes(resultName(error) ?? '')) return null;
    throw error;
  } finally {
    await connection.close();
  }
}
