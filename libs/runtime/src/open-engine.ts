import { systemClock, type Clock } from '@foodsave-backup/kernel';
import { Engine, type ComponentSpec, type EngineConfig, type EngineDeps } from '@foodsave-backup/engine';
import { createLocalStorage, localFreeBytes, withRetry } from '@foodsave-backup/storage';
import type { ResolvedConfig } from './config/index.ts';
import { BUILT_IN_DRIVERS, usualDriver } from './drivers.ts';
import { keyProvider } from './key-provider.ts';
import { recoveryFiles } from './recovery-files.ts';
import { softwareVersion } from './version.ts';

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
    drivers: [...BUILT_IN_DRIVERS, ...config.customDrivers],
    env,
    recoveryFiles,
    freeBytes: () => localFreeBytes(config.repositoryPath),
  };
}

function engineConfig(config: ResolvedConfig): EngineConfig {
  const components: ComponentSpec[] = config.components.map((spec) => ({
    instance: spec.instance,
    type: spec.type,
    driver: spec.driver ?? usualDriver(spec.type, config.customDrivers),
    config: spec.config,
  }));
  return {
    application: config.application,
    software: softwareVersion(),
    baseDir: config.baseDir,
    stateDir: config.stateDir,
    components,
    retention: config.retention,
    get timeZone(): string {
      return config.timezone;
    },
    verifyAfterCreate: config.verifyAfterCreate,
    checksums: config.checksumVerification,
    compressionLevel: config.compressionLevel,
    threads: config.limits.threads,
    limits: config.limits,
    encryption: config.encryptionEnabled,
  };
}
