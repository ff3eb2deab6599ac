import type { LoadConfigOptions, ResolvedConfig } from './resolved.ts';

/**
 * The configuration of this process: `--config`, else `BACKUP_CONFIG`, else `./backup.yaml`, else the embedded default,
 * overridden by the environment. Throws CONFIG_INVALID; the error names keys, lines, reasons and examples, never a value.
 *
 * Validation and the YAML parser are loaded on the first call only: importing this costs a process nothing.
 */
export async function loadConfig(options: LoadConfigOptions): Promise<ResolvedConfig> {
  const { load } = await import('./load.ts');
  return load(options);
}
