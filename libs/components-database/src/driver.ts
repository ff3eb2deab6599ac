import type { Component, ComponentDriver } from '@foodsave-backup/component';
import type { BindingChoice } from './child/binding.ts';
import { parseConfig, type DatabaseConfig } from './config.ts';
import { SqliteComponent } from './sqlite-component.ts';

export interface DatabaseDriverOptions {
  /** Which SQLite library the child process loads. `auto`: sqlite3, or better-sqlite3 where that cannot be loaded. */
  binding?: BindingChoice;
}

/** A `database` driver for SQLite with a chosen binding; `databaseDriver` is the one with the defaults. */
export function createDatabaseDriver(options: DatabaseDriverOptions = {}): ComponentDriver<DatabaseConfig> {
  return {
    type: 'database',
    driver: 'sqlite',
    open(instance, config, context): Component {
      const settings = parseConfig(instance, config, context.baseDir);
      return new SqliteComponent(instance, settings, context, options.binding ?? 'auto');
    },
  };
}

/** SQLite databases: consistent under live writers, stored by page, restored into a directory or into the running application. */
export const databaseDriver: ComponentDriver<DatabaseConfig> = createDatabaseDriver();
