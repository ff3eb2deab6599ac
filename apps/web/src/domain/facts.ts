import type { BackupComponent } from '@foodsave-backup/contracts/types';

/** Facts come from manifests and custom components: any value may be missing or of another type. */
type Facts = BackupComponent['facts'];

export function numberFact(facts: Facts, key: string): number | undefined {
  const value = facts[key];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** A text; also where it is wrapped as `{ name }` or as a list of texts. */
export function textFact(facts: Facts, key: string): string | undefined {
  const value = facts[key];
  if (typeof value === 'string' && value !== '') return value;
  if (Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'string'))
    return value.join(', ');
  if (typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string')
    return value.name;
  return undefined;
}

export interface TableFact {
  name: string;
  rows: number | undefined;
}

/** Tables of a database with their row counts, largest first. */
export function tableFacts(facts: Facts): TableFact[] {
  const list = facts['tables'];
  if (!Array.isArray(list)) return [];
  const tables: TableFact[] = [];
  for (const table of list as unknown[]) {
    if (typeof table !== 'object' || table === null || !('name' in table) || typeof table.name !== 'string') continue;
    const rows = 'rows' in table && typeof table.rows === 'number' ? table.rows : undefined;
    tables.push({ name: table.name, rows });
  }
  return tables.sort((a, b) => (b.rows ?? -1) - (a.rows ?? -1));
}

/** Length of a list, or of the lists inside a list of `{ keys }`. */
export function countFact(facts: Facts, key: string): number | undefined {
  const value = facts[key];
  if (typeof value === 'number') return value;
  if (!Array.isArray(value)) return undefined;
  return (value as unknown[]).reduce<number>((sum, one) => {
    const inner = typeof one === 'object' && one !== null && 'keys' in one ? one.keys : undefined;
    return sum + (Array.isArray(inner) ? inner.length : 1);
  }, 0);
}
