import { BackupError, printable } from '@foodsave-backup/kernel';

/** One setting that a driver knows: an example of its value, as YAML, for error messages. */
export type ConfigExamples = Readonly<Record<string, string>>;

/**
 * Reads the parsed YAML of one component instance, strictly: a wrong type or an unknown key is CONFIG_INVALID and names the
 * key, the reason and an example. Values are never printed. Call `finish()` last.
 */
export class ConfigReader {
  private readonly instance: string;
  private readonly value: Readonly<Record<string, unknown>>;
  private readonly examples: ConfigExamples;

  constructor(instance: string, value: unknown, examples: ConfigExamples) {
    this.instance = instance;
    this.examples = examples;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw this.invalid(undefined, 'must be a mapping of settings');
    }
    this.value = value as Readonly<Record<string, unknown>>;
    // `driver` chose who reads this; every other key must be known.
    for (const key of Object.keys(this.value)) {
      if (key !== 'driver' && !Object.hasOwn(examples, key)) throw this.invalid(key, 'is not a known setting');
    }
  }

  string(key: string): string | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    if (typeof value !== 'string' || value === '' || value.includes('\0'))
      throw this.invalid(key, 'must be a text that is not empty');
    return value;
  }

  requiredString(key: string): string {
    const value = this.string(key);
    if (value === undefined) throw this.invalid(key, 'is missing');
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.get(key);
    if (value === undefined) return fallback;
    if (typeof value !== 'boolean') throw this.invalid(key, 'must be true or false');
    return value;
  }

  strings(key: string): string[] {
    const value = this.get(key);
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw this.invalid(key, 'must be a list of texts');
    return value.map((item: unknown, index) => {
      if (typeof item !== 'string' || item === '' || item.includes('\0'))
        throw this.invalid(key, `entry ${index + 1} must be a text that is not empty`);
      return item;
    });
  }

  requiredStrings(key: string): string[] {
    if (this.get(key) === undefined) throw this.invalid(key, 'is missing');
    const values = this.strings(key);
    if (values.length === 0) throw this.invalid(key, 'must not be empty');
    return values;
  }

  /** The error for a value that only the driver can judge. */
  invalid(key: string | undefined, reason: string): BackupError {
    const where = key === undefined ? `components.${this.instance}` : `components.${this.instance}.${printable(key)}`;
    const known = Object.entries(this.examples);
    const example = key !== undefined && Object.hasOwn(this.examples, key) ? this.examples[key] : undefined;
    const hint =
      example === undefined
        ? `Known settings: ${known.map(([name]) => name).join(', ')}. Example: ${known
            .slice(0, 1)
            .map(([name, text]) => `${name}: ${text}`)
            .join('')}`
        : `Example: ${key ?? ''}: ${example}`;
    return new BackupError('CONFIG_INVALID', `${where} ${reason}`, { hint });
  }

  private get(key: string): unknown {
    const value = Object.hasOwn(this.value, key) ? this.value[key] : undefined;
    return value === null ? undefined : value;
  }
}
