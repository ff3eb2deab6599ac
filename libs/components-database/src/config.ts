import { isAbsolute, resolve } from 'node:path';
import { BackupError, printable } from '@foodsave-backup/kernel';

/** The configuration of a `database` component, as it stands in the configuration file. */
export interface DatabaseConfig {
  driver?: 'sqlite';
  /** Path of the database file, relative to the configuration file. */
  path: string;
  /** How long to wait for a lock that somebody else holds, in milliseconds. Default 10,000. */
  busyTimeoutMs?: number;
  /**
   * `full` runs `PRAGMA integrity_check` on each captured copy, `quick` runs `PRAGMA quick_check`. Default: `full`, but `quick` in a
   * backup that is asked not to verify.
   */
  integrityCheck?: IntegrityLevel;
}

export type IntegrityLevel = 'full' | 'quick';

export interface DatabaseSettings {
  /** Absolute. */
  path: string;
  busyTimeoutMs: number;
  /** Absent: as the run wants it. */
  integrityCheck?: IntegrityLevel;
}

/** `verify`: whether the run proves what it stores. */
export function integrityLevel({ integrityCheck }: DatabaseSettings, verify = true): IntegrityLevel {
  return integrityCheck ?? (verify ? 'full' : 'quick');
}

const KNOWN_KEYS: readonly string[] = ['driver', 'path', 'busyTimeoutMs', 'integrityCheck'];
const EXAMPLE = 'database: { driver: sqlite, path: ./data/foodsave.db }';
const MAX_BUSY_TIMEOUT_MS = 600_000;

/** Checks the configuration of one instance. Throws CONFIG_INVALID with the name of the key; never shows a value. */
export function parseConfig(instance: string, config: unknown, baseDir: string): DatabaseSettings {
  const invalid = (key: string, reason: string): BackupError =>
    new BackupError('CONFIG_INVALID', `components.${instance}${key === '' ? '' : `.${key}`}: ${reason}`, {
      hint: `Correct it in the configuration file. Example: ${EXAMPLE}`,
      details: { key },
    });
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw invalid('', 'must be a mapping of keys and values');
  }
  const values: Readonly<Record<string, unknown>> = { ...config };
  for (const key of Object.keys(values)) {
    if (!KNOWN_KEYS.includes(key)) throw invalid(printable(key), `is not known. Known keys: ${KNOWN_KEYS.join(', ')}`);
  }
  const driver = values['driver'] ?? 'sqlite';
  if (driver !== 'sqlite') throw invalid('driver', 'must be "sqlite"');
  const path = values['path'];
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw invalid('path', 'must name the database file');
  }
  const busyTimeoutMs = values['busyTimeoutMs'] ?? 10_000;
  if (
    typeof busyTimeoutMs !== 'number' ||
    !Number.isInteger(busyTimeoutMs) ||
    busyTimeoutMs < 1 ||
    busyTimeoutMs > MAX_BUSY_TIMEOUT_MS
  ) {
    throw invalid('busyTimeoutMs', `must be a whole number of milliseconds from 1 to ${String(MAX_BUSY_TIMEOUT_MS)}`);
  }
  const { integrityCheck } = values;
  if (integrityCheck !== undefined && integrityCheck !== 'full' && integrityCheck !== 'quick') {
    throw invalid('integrityCheck', 'must be "full" or "quick"');
  }
  return {
    path: isAbsolute(path) ? resolve(path) : resolve(baseDir, path),
    busyTimeoutMs,
    ...(integrityCheck === undefined ? {} : { integrityCheck }),
  };
}
