import { stat } from 'node:fs/promises';
import path from 'node:path';
import { EMBEDDED_SOURCE, embeddedDefault } from './embedded.ts';
import { envText } from './env.ts';
import { UnreadableFile, readTextFile } from './file.ts';
import { configInvalid } from './problems.ts';
import type { LoadConfigOptions } from './resolved.ts';

/** A configuration as it was found, not checked yet. */
export interface RawConfig {
  /** Absolute path, or `embedded default`. */
  readonly source: string;
  readonly baseDir: string;
  readonly value: unknown;
  readonly lineOf: (path: readonly (string | number)[]) => number | undefined;
}

const MAX_CONFIG_BYTES = 1024 * 1024;
const DEFAULT_FILE = 'backup.yaml';
const SAMPLE_FILE = path.join('demo', DEFAULT_FILE);

/**
 * `--config`, else `BACKUP_CONFIG`, else `./backup.yaml`; without any of them the sample application that `npm start` has made
 * in `./demo`, else the embedded default, which is the same beside the working directory. Throws CONFIG_INVALID.
 */
export async function findConfig(options: LoadConfigOptions): Promise<RawConfig> {
  const { cwd, env } = options;
  if (options.configPath !== undefined) return readConfig(cwd, options.configPath, '--config');
  const fromEnv = envText(env, 'BACKUP_CONFIG');
  if (fromEnv !== undefined) return readConfig(cwd, fromEnv, 'BACKUP_CONFIG');
  const file = path.join(cwd, DEFAULT_FILE);
  if (await exists(file)) return readConfig(cwd, DEFAULT_FILE, undefined);
  for (const near of ['backup.yml', 'backup.json', 'Backup.yaml']) {
    if (await exists(path.join(cwd, near))) {
      options.warn(
        `${near} is not read: rename it to ${DEFAULT_FILE}, or name it with --config. Using the ${EMBEDDED_SOURCE}.`,
      );
    }
  }
  if (await exists(path.join(cwd, SAMPLE_FILE))) return readConfig(cwd, SAMPLE_FILE, undefined);
  return { source: EMBEDDED_SOURCE, baseDir: cwd, value: embeddedDefault(), lineOf: () => undefined };
}

async function readConfig(cwd: string, written: string, from: string | undefined): Promise<RawConfig> {
  if (written.trim() === '') {
    throw configInvalid(undefined, [
      { key: from ?? '', reason: 'must name a file and is empty', example: './backup.yaml' },
    ]);
  }
  const file = path.resolve(cwd, written);
  const text = await readText(file, from);
  const { parseYaml } = await import('./yaml.ts');
  const { value, lineOf } = parseYaml(text, file);
  if (value === null || value === undefined) {
    throw configInvalid(file, [
      {
        key: '',
        reason: 'the file is empty',
        example: 'components: { database: { driver: sqlite, path: ./data/app.db } }',
      },
    ]);
  }
  return { source: file, baseDir: path.dirname(file), value, lineOf };
}

async function readText(file: string, from: string | undefined): Promise<string> {
  try {
    return await readTextFile(file, MAX_CONFIG_BYTES);
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error;
    const named = from === undefined ? '' : ` (named by ${from})`;
    const hint = error.missing
      ? 'Correct the path. The README shows a backup.yaml to start from.'
      : 'Name a readable YAML file in UTF-8, such as ./backup.yaml.';
    throw configInvalid(file, [{ key: '', reason: `the configuration file${named} ${error.message}`, hint }]);
  }
}

/** Also true for what exists and cannot be read: passing it over in silence would protect something else. */
async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}
