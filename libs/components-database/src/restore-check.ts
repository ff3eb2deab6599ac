import type { ComponentFacts } from '@foodsave-backup/component';
import { BackupError } from '@foodsave-backup/kernel';
import type { DatabaseFacts } from './child/protocol.ts';

/**
 * Compares a restored database with the facts of its backup; `where` names it in messages. Returns what a person should
 * know. Throws VERIFICATION_FAILED for damage that the backup did not have and for another schema.
 */
export function checkRestored(found: DatabaseFacts, facts: ComponentFacts, where: string): string[] {
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
  return found.integrityCheck === 'ok'
    ? []
    : [`The integrity of ${where} could not be checked: ${found.integrityCheck.join('; ')}`];
}

function failed(what: string): BackupError {
  return new BackupError('VERIFICATION_FAILED', `Verification failed: ${what}`, {
    hint: 'Run verify on this backup, and restore from another one.',
  });
}
