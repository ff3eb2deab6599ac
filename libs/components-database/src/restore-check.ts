import type { ComponentFacts } from '@foodsave-backup/component';
import { BackupError } from '@foodsave-backup/kernel';
import type { DatabaseFacts } from './child/protocol.ts';

/**
 * Compares a restored database that nobody else has opened yet with the facts of its backup; `where` names it in messages.
 * Returns what a person should know. Throws VERIFICATION_FAILED for damage that the backup did not have, and for another
 * schema or size.
 */
export function checkRestored(found: DatabaseFacts, facts: ComponentFacts, where: string): string[] {
  const notes = checkLive(found, facts, where);
  const pageCount = facts['pageCount'];
  if (facts.corrupt !== true && typeof pageCount === 'number' && found.pageCount !== pageCount) {
    throw failed(`${where} has another number of pages than the backup recorded`);
  }
  return notes;
}

/** The same for a live database, in which the application may already go on: other counts of rows are a note. */
export function checkLive(found: DatabaseFacts, facts: ComponentFacts, where: string): string[] {
  if (facts.corrupt === true) {
    return ['The database was already damaged when it was backed up, and was restored as it was.'];
  }
  if (found.corrupt) {
    const [first = 'unknown'] = found.integrityCheck;
    throw failed(`SQLite finds ${where} damaged (${first})`);
  }
  const schemaHash = facts['schemaHash'];
  if (typeof schemaHash === 'string' && found.schemaHash !== null && found.schemaHash !== schemaHash) {
    throw failed(`${where} has another schema than the backup recorded`);
  }
  const notes: string[] = [];
  if (found.integrityCheck !== 'ok') {
    notes.push(`The integrity of ${where} could not be checked: ${found.integrityCheck.join('; ')}`);
  }
  const changed = found.tables.filter(({ name, rows }) => {
    const recorded = recordedRows(facts, name);
    return rows !== null && recorded !== undefined && recorded !== rows;
  });
  if (changed.length > 0) {
    notes.push(`Other counts of rows in ${where} than in the backup: ${changed.map(({ name }) => name).join(', ')}`);
  }
  return notes;
}

/** As the backup recorded them; facts come from a manifest and are not trusted to have a shape. */
function recordedRows(facts: ComponentFacts, name: string): number | undefined {
  const tables = facts['tables'];
  const table: unknown = Array.isArray(tables)
    ? tables.find((item: unknown) => (item as { name?: unknown } | null)?.name === name)
    : undefined;
  const rows = (table as { rows?: unknown } | undefined)?.rows;
  return typeof rows === 'number' ? rows : undefined;
}

function failed(what: string): BackupError {
  return new BackupError('VERIFICATION_FAILED', `Verification failed: ${what}`, {
    hint: 'Run verify on this backup, and restore from another one.',
  });
}
