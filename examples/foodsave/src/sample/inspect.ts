import Database from 'better-sqlite3';
import { TABLES } from './schema.ts';
import type { TableName } from './schema.ts';

export interface DatabaseState {
  rows: Record<TableName, number>;
  /** The highest number in the ledger; 0 when it is empty. */
  lastSeq: number;
  /** Everything that must hold in any consistent copy and does not, in words. Empty when all is well. */
  problems: string[];
}

/**
 * Reads a sample database, or a copy of one, and says what is wrong with it: `integrity_check`, `foreign_key_check`,
 * the full-text index, a ledger that is gapless from 1, and receipts whose total and count are those of their lines.
 * Each transaction of the live writer keeps the last two, so a torn copy breaks them.
 */
export function inspectDatabase(path: string): DatabaseState {
  const database = new Database(path, { fileMustExist: true, timeout: 10_000 });
  try {
    database.pragma('cache_size = -65536');
    const number = (sql: string): number => Number(database.prepare(sql).pluck().get());
    const problems: string[] = [];
    const integrity = database.pragma('integrity_check', { simple: true });
    if (integrity !== 'ok') problems.push(`integrity_check: ${String(integrity)}`);
    const orphans = (database.pragma('foreign_key_check') as unknown[]).length;
    if (orphans > 0) problems.push(`foreign_key_check: ${String(orphans)} rows`);
    try {
      database.exec("INSERT INTO recipes_fts(recipes_fts, rank) VALUES ('integrity-check', 1)");
    } catch (error) {
      problems.push(`recipes_fts: ${error instanceof Error ? error.message : String(error)}`);
    }
    const lastSeq = number('SELECT coalesce(max(seq), 0) FROM ledger');
    const entries = number('SELECT count(*) FROM ledger WHERE seq > 0');
    if (entries !== lastSeq) problems.push(`ledger: ${String(entries)} entries up to number ${String(lastSeq)}`);
    const wrong = number(WRONG_TOTALS);
    if (wrong > 0) problems.push(`receipts: ${String(wrong)} disagree with their lines`);
    const counts = TABLES.map((table) => [table, number(`SELECT count(*) FROM ${table}`)] as const);
    return { rows: Object.fromEntries(counts) as Record<TableName, number>, lastSeq, problems };
  } finally {
    database.close();
  }
}

const WRONG_TOTALS = `
SELECT count(*) FROM receipts r LEFT JOIN (
  SELECT receipt_id, count(*) AS lines, sum(amount_grosz) AS total FROM receipt_items GROUP BY receipt_id
) i ON i.receipt_id = r.id
WHERE r.item_count <> coalesce(i.lines, 0) OR r.total_grosz <> coalesce(i.total, 0)`;
