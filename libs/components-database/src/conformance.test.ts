import Database from 'better-sqlite3';
import { expect } from 'vitest';
import { componentConformance, type ComponentFixture } from '@foodsave-backup/component/conformance';
import { query, Sandbox } from './testing/fixtures.ts';

async function fixture(journalMode: string): Promise<ComponentFixture> {
  const sandbox = await Sandbox.create();
  const database = new Database(sandbox.database);
  database.pragma(`journal_mode = ${journalMode}`);
  database.exec("CREATE TABLE meal (name TEXT); INSERT INTO meal VALUES ('soup')");
  database.close();
  return {
    component: sandbox.component(),
    cleanUp: () => sandbox.remove(),
    verifyTarget(directory) {
      expect(query(`${directory}/data/app.db`, 'SELECT name FROM meal')).toEqual([{ name: 'soup' }]);
      return Promise.resolve();
    },
  };
}

componentConformance('SQLite in WAL mode', () => fixture('wal'));
componentConformance('SQLite with a rollback journal', () => fixture('delete'));
