import { BackupError, systemClock, type Clock } from '@foodsave-backup/kernel';
import type { ComponentDriver } from '@foodsave-backup/component';
import { configDriver } from '@foodsave-backup/components-config';
import { databaseDriver } from '@foodsave-backup/components-database';
import { filesDriver } from '@foodsave-backup/components-files';
import { vectorStoreDrivers } from '@foodsave-backup/components-vector-store';
import { Engine, type ComponentSpec, type EngineConfig, type EngineDeps } from '@foodsave-backup/engine';
import { createLocalStorage, localFreeBytes, withRetry } from '@foodsave-backup/storage';
import type { ResolvedConfig } from './config/index.ts';
import { keyProvider } from './key-provider.ts';
import { recoveryFiles } from './recovery-files.ts';
import { softwareVersion } from './version.ts';

/** The usual driver of each built-in type. */
const USUAL_DRIVER: Readonly<Record<string, string>> = {
  database: 'sqlite',
  files: 'directory',
  config: 'directory',
  vector_store: 'faiss',
};

const DRIVERS: readonly ComponentDriver[] = [
  databaseDriver,
  filesDriver,
  configDriver,
  ...Object.values(vectorStoreDrivers),
];

export interface OpenEngineOptions {
  clock?: Clock;
  env?: Readonly<Record<string, string | undefined>>;
}

/** The one composition root: configuration → Engine. */
export function openEngine(config: ResolvedConfig, options: OpenEngineOptions = {}): Engine {
  return new Engine(engineDeps(config, options));
}

export function engineDeps(config: ResolvedConfig, options: OpenEngineOptions = {}): EngineDeps {
  const clock = options.clock ?? systemClock;
  if (config.plugins.length > 0) {
    throw new BackupError('CONFIG_INVALID', 'plugins: custom components are not supported by this version', {
      hint: 'Remove "plugins" from the configuration.',
    });
  }
  const storage = withRetry(createLocalStorage(config.repositoryPath, { clock }), {
    clock,
    attempts: 4,
    baseMs: 50,
    maxMs: 2000,
    random: Math.random,
  });
  const env = options.env ?? process.env;
  return {
    config: engineConfig(config),
    storage,
    directory: config.repositoryPath,
    clock,
    keys: keyProvider(config),
    drivers: DRIVERS,
    env,
    recoveryFiles,
    freeBytes: () => localFreeBytes(config.repositoryPath),
  };
}

function engineConfig(config: ResolvedConfig): EngineConfig {
  const components: ComponentSpec[] = config.components.map((spec) => ({
    instance: spec.instance,
    type: spec.type,
    driver: spec.driver ?? USUAL_DRIVER[spec.type] ?? spec.type,
    config: spec.config,
  }));
  return {
    application: config.application,
    software: softwareVersion(),
    baseDir: config.baseDir,
    stateDir: config.stateDir,
    components,
    retention: config.retention,
    timeZone: config.timezone,
    verifyAfterCreate: config.verifyAfterCreate,
    checksums: config.checksumVerification,
    compressionLevel: config.compressionLevel,
    encryption: config.encryptionEnabled,
  };
}
