import { writeSync } from 'node:fs';
import Database from 'better-sqlite3';

// A process that writes to a database as an application would: `node writer.ts FILE MODE [ARGUMENT]`. It prints one line for
// each thing that happened, synchronously, so that a kill loses none.
const [, , file = '', mode = '', argument = ''] = process.argv;
const database = new Database(file, { timeout: 20_000 });

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Numbered transactions of two rows each, acknowledged on stdout, for ever. */
function steadily(pauseMs: number): void {
  const insert = database.prepare('INSERT INTO log (n, half, payload) VALUES (?, ?, ?)');
  const commit = database.transaction((n: number) => {
    insert.run(n, 1, 'x'.repeat(500));
    insert.run(n, 2, 'y'.repeat(500));
  });
  const last = database.prepare('SELECT coalesce(max(n), 0) FROM log').pluck().get() as number;
  for (let n = last + 1; ; n++) {
    try {
      commit.immediate(n);
    } catch (error) {
      say(`error ${error instanceof Error ? error.message : String(error)}`);
      process.exit(1);
    }
    say(`committed ${String(n)}`);
    if (pauseMs > 0) pause(pauseMs);
  }
}

/** Stays in the state that the statements lead to, e.g. inside a transaction, until it is killed. */
function hold(sql: string): void {
  for (const statement of sql.split(';').filter((part) => part.trim() !== '')) {
    const prepared = database.prepare(statement);
    if (prepared.reader) prepared.all();
    else prepared.run();
  }
  say('ready');
  process.stdin.on('data', (data: Buffer) => {
    const rows = database.prepare(data.toString('utf8')).all();
    say(JSON.stringify(rows));
  });
}

if (mode === 'steadily') steadily(Number(argument));
else hold(argument);
