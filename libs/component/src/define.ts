import { BackupError } from '@foodsave-backup/kernel';
import type { Component, ComponentContext, ComponentDriver } from './port.ts';

export interface ComponentDefinition<Config> {
  /** `database`, `files`, `config`, `vector_store` or a custom type `[a-z][a-z0-9_]{0,31}`. */
  type: string;
  /** The value of the `driver` key of the configuration. */
  driver: string;
  /**
   * Checks the parsed YAML of one instance and gives it its type; throws CONFIG_INVALID (`ConfigReader` helps). Without it
   * the configuration must be empty.
   */
  config?: (instance: string, value: unknown) => Config;
  open: (instance: string, config: Config, context: ComponentContext) => Component;
}

/**
 * A driver in one file: a type, a name, a check of its configuration and a way to open it. Prove it with
 * `componentConformance` of `@foodsave-backup/component/conformance`.
 */
export function defineComponent<Config = Record<string, never>>(
  definition: ComponentDefinition<Config>,
): ComponentDriver {
  const { type, driver } = definition;
  if (!/^[a-z][a-z0-9_]{0,31}$/.test(type)) {
    throw new BackupError('CONFIG_INVALID', `"${type}" cannot be the type of a component`, {
      hint: 'Use 1 to 32 lower-case letters, digits and underscores, and start with a letter, for example "mail_queue".',
    });
  }
  if (!/^[a-z][a-z0-9_-]{0,31}$/.test(driver)) {
    throw new BackupError('CONFIG_INVALID', `"${driver}" cannot be the name of a driver`, {
      hint: 'Use 1 to 32 lower-case letters, digits, dashes and underscores, and start with a letter, for example "maildir".',
    });
  }
  const parse = definition.config ?? noConfig;
  return {
    type,
    driver,
    open: (instance, value, context) => definition.open(instance, parse(instance, value) as Config, context),
  };
}

function noConfig(instance: string, value: unknown): Record<string, never> {
  const keys = typeof value === 'object' && value !== null ? Object.keys(value).filter((key) => key !== 'driver') : [];
  const first = keys[0];
  if (first !== undefined) {
    throw new BackupError('CONFIG_INVALID', `components.${instance}: unknown key "${first}"`, {
      hint: 'This driver takes no settings. Remove the key.',
    });
  }
  return {};
}
