import Database from 'better-sqlite3';
import { setTimeout as sleep } from 'node:timers/promises';
import { SampleError } from './options.ts';
import { Random } from './random.ts';
import { remark, tillLine, tillName } from './texts.ts';
import * as words from './words.ts';

export interface LiveOptions {
  /** Transactions a second. Default 400. */
  rate?: number;
  /** Stops by itself after so many seconds. Default: only by the signal. */
  seconds?: number;
  seed?: string;
  /** Stops at the end of the transaction that is under way. */
  signal: AbortSignal;
  /** Called after a commit, about 20 times a second, with the number of the newest one. */
  onCommitted: (seq: number) => void;
}

const TICK_MS = 4;
const REPORT_MS = 50;
/** Most transactions without a look at the signal: what a stalled machine makes up for at once. */
const MAX_BURST = 100;

/**
 * Commits numbered transactions to the database until told to stop, and answers how many. Each adds the next row of
 * `ledger` and changes other tables with it, so that a copy which tears a transaction shows. The number is read inside
 * the transaction: several writers may run at once, and a database restored underneath continues from its own number.
 */
export async function writeLive(path: string, options: LiveOptions): Promise<number> {
  const rate = options.rate ?? 400;
  if (!(rate > 0 && rate <= 20_000)) {
    throw new SampleError(
      `the rate is not usable: ${String(rate)}`,
      'give transactions a second, above 0, at most 20000',
    );
  }
  // A short wait for the lock, tried again at the next tick, leaves room for the signal.
  const database = new Database(path, { fileMustExist: true, timeout: 200 });
  try {
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = NORMAL');
    database.pragma('foreign_keys = ON');
    const commit = preparePurchase(database, new Random(`live/${options.seed ?? String(process.pid)}`));
    const started = performance.now();
    const ends = options.seconds === undefined ? Infinity : started + options.seconds * 1000;
    let committed = 0;
    let newest = 0;
    let reported = 0;
    let reportDue = started;
    while (!options.signal.aborted && performance.now() < ends) {
      const due = Math.floor(((performance.now() - started) / 1000) * rate) + 1;
      for (let burst = 0; committed < due && burst < MAX_BURST; burst++) {
        const seq = commit();
        if (seq === undefined) break;
        newest = seq;
        committed += 1;
      }
      if (newest !== reported && performance.now() >= reportDue) {
        options.onCommitted(newest);
        reported = newest;
        reportDue = performance.now() + REPORT_MS;
      }
      await sleep(TICK_MS);
    }
    if (newest !== reported) options.onCommitted(newest);
    return committed;
  } finally {
    database.close();
  }
}

/** A function that commits one transaction and answers its number, or undefined when another writer holds the lock. */
function preparePurchase(database: Database.Database, random: Random): () => number | undefined {
  const next = database.prepare<[], number>('SELECT coalesce(max(seq), 0) + 1 FROM ledger').pluck();
  const receipts = database.prepare<[], number>('SELECT max(id) FROM receipts').pluck();
  const product = database.prepare<[number], { id: number; name: string; price: number }>(
    'SELECT id, name, price_grosz AS price FROM products WHERE id >= ? ORDER BY id LIMIT 1',
  );
  const lastProduct = database.prepare<[], number>('SELECT max(id) FROM products').pluck();
  const addLine = database.prepare(
    `INSERT INTO receipt_items (receipt_id, product_id, line_no, name, quantity, unit_price_grosz, amount_grosz, best_before, storage_place, scanned_text, note)
     SELECT id, ?, item_count + 1, ?, ?, ?, ?, NULL, ?, ?, ? FROM receipts WHERE id = ?`,
  );
  const addTotal = database.prepare(
    'UPDATE receipts SET item_count = item_count + 1, total_grosz = total_grosz + ? WHERE id = ?',
  );
  const takeStock = database.prepare('UPDATE products SET stock = stock - ?, updated_at = ? WHERE id = ?');
  const changeNote = database.prepare('UPDATE receipts SET note = ? WHERE id = ?');
  const log = database.prepare('INSERT INTO ledger (seq, at, kind, detail) VALUES (?, ?, ?, ?)');

  const transaction = database.transaction((): number => {
    const seq = next.get() ?? 1;
    const at = new Date().toISOString();
    const receipt = random.between(1, receipts.get() ?? 1);
    const bought = product.get(random.between(1, lastProduct.get() ?? 1));
    if (bought !== undefined && random.chance(0.75)) {
      const quantity = random.between(1, 5);
      const amount = quantity * bought.price;
      const line = addLine.run(
        bought.id,
        bought.name,
        quantity,
        bought.price,
        amount,
        random.pick(words.PLACES),
        tillLine(tillName(bought.name), quantity, bought.price, amount),
        remark(random),
        receipt,
      );
      if (line.changes === 1) addTotal.run(amount, receipt);
      takeStock.run(quantity, at, bought.id);
      log.run(seq, at, 'purchase', `receipt ${String(receipt)}: ${String(quantity)} x ${bought.name}`);
    } else {
      changeNote.run(remark(random), receipt);
      log.run(seq, at, 'note', `receipt ${String(receipt)}: note changed`);
    }
    return seq;
  });
  return () => {
    try {
      return transaction.immediate();
    } catch (error) {
      if (error instanceof Database.SqliteError && /^SQLITE_(BUSY|LOCKED)/.test(error.code)) return undefined;
      throw error;
    }
  };
}
