import Database from 'better-sqlite3';

/** Every ordinary table of two databases, row by row. The tables that differ, or the problems found; empty when they are equal. */
export function compareDatabases(expected: string, actual: string): string[] {
  const db = new Database(actual, { readonly: true });
  try {
    const problems: string[] = [];
    const integrity = db.pragma('integrity_check', { simple: true });
    if (integrity !== 'ok') problems.push(`integrity_check: ${String(integrity)}`);
    db.prepare('ATTACH DATABASE ? AS expected').run(expected);
    const names = (schema: string): string[] =>
      db
        .prepare(`SELECT name FROM ${schema}.sqlite_schema WHERE type = 'table' ORDER BY name`)
        .pluck()
        .all() as string[];
    const tables = names('main');
    if (tables.join() !== names('expected').join()) problems.push('the tables differ');
    const schema = (name: string): unknown[] =>
      db.prepare(`SELECT type, name, sql FROM ${name}.sqlite_schema ORDER BY 1, 2`).all();
    if (JSON.stringify(schema('main')) !== JSON.stringify(schema('expected'))) problems.push('the schemas differ');
    for (const table of tables) {
      const different = db
        .prepare(
          `SELECT (SELECT count(*) FROM main."${table}") - (SELECT count(*) FROM expected."${table}")
             OR EXISTS (SELECT * FROM main."${table}" EXCEPT SELECT * FROM expected."${table}")`,
        )
        .pluck()
        .get();
      if (different !== 0) problems.push(`table ${table} differs`);
    }
    return problems;
  } finally {
    db.close();
  }
}

/** The numbers of the sample's ledger: how many, and the last one. Equal when there is no gap. */
export function ledger(path: string): { count: number; last: number; integrity: unknown } {
  const db = new Database(path, { readonly: true });
  try {
    const row = db.prepare('SELECT count(*) AS count, coalesce(max(seq), 0) AS last FROM ledger').get() as {
      count: number;
      last: number;
    };
    return { ...row, integrity: db.pragma('integrity_check', { simple: true }) };
  } finally {
    db.close();
  }
}
