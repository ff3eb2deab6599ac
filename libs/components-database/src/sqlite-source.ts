import type { ComponentContext } from '@foodsave-backup/component';
import type { BindingChoice } from './child/binding.ts';
import type { DatabaseSettings } from './config.ts';

/** Everything that the parts of one component share. */
export interface SqliteSource {
  instance: string;
  settings: DatabaseSettings;
  context: ComponentContext;
  binding: BindingChoice;
}
