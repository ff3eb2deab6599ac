export * from './config/index.ts';
export { openEngine, type OpenEngineOptions } from './open-engine.ts';
export { forkedExecute, type ConfigSource } from './forked.ts';
export { softwareVersion } from './version.ts';
