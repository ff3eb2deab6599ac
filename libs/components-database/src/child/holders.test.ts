import { stat } from 'node:fs/promises';
import Database from 'better-sqlite3';
import { expect, it } from 'vitest';
import { Sandbox } from '../testing/fixtures.ts';
import { findHolders } from './holders.ts';

it('finds an idle process that has a file open, and not itself', async () => {
  const sandbox = await Sandbox.create();
  try {
    const own = new Database(sandbox.database);
    own.exec('CREATE TABLE t (a)');
    const holder = sandbox.writer('hold', 'SELECT 1');
    await holder.line('ready');
    const file = await stat(sandbox.database, { bigint: true });
    expect((await findHolders(file)).pids).toEqual([holder.pid]);
    await holder.kill();
    expect((await findHolders(file)).pids).toEqual([]);
    own.close();
  } finally {
    await sandbox.remove();
  }
});
