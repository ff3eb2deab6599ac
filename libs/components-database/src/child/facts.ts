import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { BackupError, printable } from '@foodsave-backup/kernel';
import { parseHeader } from '../header.ts';
import { resultName, type Row, type SqliteBinding, type SqliteConnection } from './binding.ts';
import { readHeader } from './files.ts';
import type { ChildOperations, DatabaseFacts } from './protocol.ts';

const MAX_MESSAGES = 10;
/**
 * KiB, negative as SQLite wants it. Of the sample database of 250 MB, integrity_check takes 1.0 s with the default of 2 MiB, 0.64 s
 * with 16 and 1.06 s with 128: pages that come from the system's cache are cheaper than fresh memory (2026-11-28).
 */
const CACHE_SIZE = -16_384;

/** Tables of the usual migration tools, lower case, with the column that names a migration. */
const MIGRATION_TABLES: Readonly<Record<string, string>> = {
  migrations: 'name',
  typeorm_migrations: 'name',
  knex_migrations: 'name',
  sequelizemeta: 'name',
  mikro_orm_migrations: 'name',
  django_migrations: 'name',
  _prisma_migrations: 'migration_name',
  __drizzle_migrations: 'hash',
  __efmigrationshistory: 'MigrationId',
  alembic_version: 'version_num',
  schema_migrations: 'version',
  flyway_schema_history: 'script',
};

/**
 * Looks at a private copy that nobody else opens, or, `inPlace`, at a database that nobody writes: its tables, its schema and its integrity. The copy is opened read-only, so
 * its bytes stay as they are; what SQLite leaves beside it is the caller's to remove. Damage is a fact, not an error.
 */
export async function databaseFacts(
  binding: SqliteBinding,
  { path, integrity, inPlace, toCompare }: ChildOperations['facts']['request'],
): Promise<DatabaseFacts> {
  const header = parseHeader(await readHeader(path));
  const { size } = await stat(path);
  const facts: DatabaseFacts = {
    tables: [],
    schemaHash: null,
    userVersion: null,
    applicationId: null,
    pageSize: header?.pageSize ?? null,
    pageCount: header === undefined ? null : Math.ceil(size / header.pageSize),
    encoding: null,
    autoVacuum: header?.autoVacuum ?? null,
    integrityCheck: [],
    integrityLevel: integrity,
    foreignKeyCheck: null,
    newestMigration: null,
    sqliteVersion: binding.version,
    corrupt: false,
  };
  const mode = inPlace === true ? 'immutable' : 'readonly';
  const connection = await binding.open(path, { mode, busyTimeoutMs: 10_000 });
  try {
    const look = new Look(connection, facts);
    await look.prepare();
    await look.integrity();
    await look.header();
    await look.schema();
    await look.rows();
    if (toCompare !== true) {
      await look.foreignKeys();
      await look.migrations();
    }
  } finally {
    await connection.close();
  }
  return facts;
}

class Look {
  private readonly connection: SqliteConnection;
  private readonly facts: DatabaseFacts;

  constructor(connection: SqliteConnection, facts: DatabaseFacts) {
    this.connection = connection;
    this.facts = facts;
  }

  async prepare(): Promise<void> {
    // The schema is somebody else's: no function or virtual table of it runs from a view or a trigger.
    await this.attempt('PRAGMA trusted_schema = OFF');
    await this.attempt(`PRAGMA cache_size = ${String(CACHE_SIZE)}`);
  }

  async integrity(): Promise<void> {
    const check = this.facts.integrityLevel === 'full' ? 'integrity_check' : 'quick_check';
    const rows = await this.attempt(`PRAGMA ${check}(${String(MAX_MESSAGES)})`, (reason) => {
      this.facts.integrityCheck = [reason];
    });
    if (rows === undefined) return;
    const messages = rows.map((row) => printable(String(Object.values(row)[0])));
    if (messages.length === 1 && messages[0] === 'ok') {
      this.facts.integrityCheck = 'ok';
    } else {
      this.facts.integrityCheck = messages.slice(0, MAX_MESSAGES);
      this.facts.corrupt = true;
    }
  }

  async header(): Promise<void> {
    const value = async (pragma: string): Promise<unknown> =>
      (await this.attempt(`PRAGMA ${pragma}`))?.[0]?.[pragma] ?? null;
    this.facts.userVersion = (await value('user_version')) as number | null;
    this.facts.applicationId = (await value('application_id')) as number | null;
    this.facts.encoding = (await value('encoding')) as string | null;
  }

  async schema(): Promise<void> {
    const rows = await this.attempt(
      `SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'`,
    );
    if (rows === undefined) return;
    const lines = rows.map((row) => JSON.stringify([row['type'], row['name'], row['tbl_name'], row['sql']])).sort();
    this.facts.schemaHash = createHash('sha256').update(lines.join('\n')).digest('hex');
  }

  /** Shadow tables, which hold the inside of a virtual table, are left out: their counts say nothing about the data. */
  async rows(): Promise<void> {
    const tables = await this.attempt(
      `SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual')
       AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name`,
    );
    for (const table of tables ?? []) {
      const name = String(table['name']);
      const counted = await this.attempt(`SELECT count(*) AS rows FROM main.${quote(name)}`);
      const rows = counted === undefined ? null : Number(counted[0]?.['rows']);
      this.facts.tables.push({ name, rows, ...(table['type'] === 'virtual' ? { virtual: true as const } : {}) });
    }
  }

  async foreignKeys(): Promise<void> {
    const rows = await this.attempt('SELECT count(*) AS violations FROM pragma_foreign_key_check');
    if (rows !== undefined) this.facts.foreignKeyCheck = Number(rows[0]?.['violations']);
  }

  async migrations(): Promise<void> {
    for (const { name } of this.facts.tables) {
      const column = Object.hasOwn(MIGRATION_TABLES, name.toLowerCase())
        ? MIGRATION_TABLES[name.toLowerCase()]
        : undefined;
      if (column === undefined) continue;
      const select = `SELECT ${quote(column)} AS newest FROM main.${quote(name)}`;
      const rows =
        (await this.attempt(`${select} ORDER BY rowid DESC LIMIT 1`)) ??
        (await this.attempt(`${select} ORDER BY 1 DESC LIMIT 1`));
      const newest = rows?.[0]?.['newest'];
      if (typeof newest === 'string' || typeof newest === 'number') {
        this.facts.newestMigration = printable(String(newest));
        return;
      }
    }
  }

  /** The rows, or `undefined` where SQLite cannot say: damage is noted, an unknown module or collation is not damage. */
  private async attempt(sql: string, onFailure?: (reason: string) => void): Promise<Row[] | undefined> {
    try {
      return await this.connection.all(sql);
    } catch (error) {
      const name = resultName(error);
      if (name === undefined || name === 'NOMEM') throw error;
      if (name === 'IOERR' || name === 'FULL') {
        throw new BackupError('IO_ERROR', 'The copy of the database could not be read back', {
          hint: 'Check the disk that holds the temporary files.',
          cause: error,
        });
      }
      const reason = printable(error instanceof Error ? error.message : String(error));
      if (name === 'CORRUPT' || name === 'NOTADB') this.noteDamage(reason);
      onFailure?.(reason);
      return undefined;
    }
  }

  private noteDamage(reason: string): void {
    this.facts.corrupt = true;
    const { integrityCheck } = this.facts;
    if (integrityCheck === 'ok') this.facts.integrityCheck = [reason];
    else if (integrityCheck.length < MAX_MESSAGES && !integrityCheck.includes(reason)) integrityCheck.push(reason);
  }
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
