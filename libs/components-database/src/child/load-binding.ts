import { BackupError } from '@foodsave-backup/kernel';
import { assertSqliteVersion, type BindingChoice, type BindingName, type SqliteBinding } from './binding.ts';

/** Loads the preferred binding, or the other one where its native module cannot be loaded. */
export async function loadBinding(choice: BindingChoice): Promise<SqliteBinding> {
  const loaders: Readonly<Record<BindingName, () => Promise<SqliteBinding>>> = {
    sqlite3: async () => (await import('./binding-sqlite3.ts')).loadSqlite3(),
    'better-sqlite3': async () => (await import('./binding-better-sqlite3.ts')).loadBetterSqlite3(),
  };
  const order: readonly BindingName[] = choice === 'auto' ? ['sqlite3', 'better-sqlite3'] : [choice];
  const failures: unknown[] = [];
  for (const name of order) {
    let binding: SqliteBinding;
    try {
      binding = await loaders[name]();
    } catch (error) {
      failures.push(error);
      continue;
    }
    assertSqliteVersion(binding.version);
    return binding;
  }
  throw new BackupError('COMPONENT_FAILED', `No SQLite library could be loaded (${order.join(', ')})`, {
    hint: 'Run npm ci again; sqlite3 needs g++, make and python3 where no prebuilt binary is served.',
    cause: new AggregateError(failures),
  });
}
