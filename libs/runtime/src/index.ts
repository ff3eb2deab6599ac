export * from './config/index.ts';
export { Run, RunManager } from '@foodsave-backup/engine';
export { engineDeps, openEngine, type OpenEngineOptions } from './open-engine.ts';
export { newKeyFile, secretOf } from './key-provider.ts';
export { assertSecretPlace, writePrivateFile } from './private-file.ts';
export { forkedExecute, type ConfigSource } from './forked.ts';
export { softwareVersion } from './version.ts';
export type { SameBodies } from './bodies.ts';
