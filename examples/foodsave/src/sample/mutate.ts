import Database from 'better-sqlite3';
import { SampleError } from './options.ts';
import { Random } from './random.ts';
import { remark } from './texts.ts';
import * as words from './words.ts';

/**
 * Changes note and storage place of `percent` percent of the rows of `receipt_items`, chosen at random, in one
 * transaction. The same seed on the same database makes the same changes. Totals and row counts stay as they are.
 * Answers the number of rows that were changed (at least one).
 *
 * Do not call it in a process that has the same file open through another SQLite library.
 */
export function updateRandomRows(path: string, percent: number, seed = 'update'): number {
  if (!(percent > 0 && percent <= 100)) {
    throw new SampleError(`the percentage is not usable: ${String(percent)}`, 'give a number above 0, at most 100');
  }
  const database = new Database(path, { fileMustExist: true, timeout: 10_000 });
  try {
    const random = new Random(`update/${seed}`);
    const update = database.prepare('UPDATE receipt_items SET note = ?, storage_place = ? WHERE id = ?');
    return database
      .transaction(() => {
        const rows =
          database.prepare<[], { top: number | null }>('SELECT max(id) AS top FROM receipt_items').get()?.top ?? 0;
        const wanted = Math.min(rows, Math.max(1, Math.round((rows * percent) / 100)));
        let changed = 0;
        for (const id of chooseIds(rows, wanted, random)) {
          changed += update.run(remark(random), random.pick(words.PLACES), id).changes;
        }
        return changed;
      })
      .immediate();
  } finally {
    database.close();
  }
}

/** `count` different numbers from 1 to `top`: Robert Floyd's sampling (Bentley, CACM 30/9, 1987). */
function chooseIds(top: number, count: number, random: Random): Set<number> {
  const chosen = new Set<number>();
  for (let highest = top - count + 1; highest <= top; highest++) {
    const candidate = random.between(1, highest);
    chosen.add(chosen.has(candidate) ? highest : candidate);
  }
  return chosen;
}
