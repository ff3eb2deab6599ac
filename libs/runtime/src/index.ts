export * from './config/index.ts';
export { Run, RunManager, withScratch } from '@foodsave-backup/engine';
export { engineDeps, openEngine, type OpenEngineOptions } from './open-engine.ts';
export { newKeyFile, secretOf } from './key-provider.ts';
export { assertSecretPlace, writePrivateFile } from './private-file.ts';
export { ARCHIVE_DESCRIPTOR, forkedExecute, forkedExport, type ConfigSource } from './forked.ts';
export { sizeThreadPool } from './threads.ts';
export { softwareVersion } from './version.ts';
export type { SameBodies } from './bodies.ts';
