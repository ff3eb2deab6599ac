export { EMBEDDED_SOURCE } from './embedded.ts';
export { loadConfig } from './load-config.ts';
export type { LoadConfigOptions, ResolvedConfig, ResolvedSchedules } from './resolved.ts';
export { Secret } from './secret.ts';
