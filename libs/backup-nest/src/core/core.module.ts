import { Module } from '@nestjs/common';
import type { DynamicModule, Provider } from '@nestjs/common';
import { systemClock } from '@foodsave-backup/kernel';
import { forkedExecute, openEngine, RunManager } from '@foodsave-backup/runtime';
import { ComponentProber } from '../components/component-prober.ts';
import { ComponentRegistry } from '../components/component-registry.ts';
import { BackupService } from './backup.service.ts';
import { BACKUP_CLOCK, BACKUP_ENGINE, BACKUP_OPTIONS } from './options.ts';
import type { BackupModuleOptions, EngineQuestions } from './options.ts';

const OWN: Provider[] = [
  {
    provide: BACKUP_CLOCK,
    inject: [BACKUP_OPTIONS],
    useFactory: (options: BackupModuleOptions) => options.clock ?? systemClock,
  },
  {
    provide: BACKUP_ENGINE,
    inject: [BACKUP_OPTIONS],
    useFactory: ({ config, clock, env }: BackupModuleOptions): EngineQuestions =>
      openEngine(config, { ...(clock === undefined ? {} : { clock }), ...(env === undefined ? {} : { env }) }),
  },
  {
    provide: RunManager,
    inject: [BACKUP_OPTIONS],
    useFactory: ({ config, source, clock, execute }: BackupModuleOptions) =>
      new RunManager(clock ?? systemClock, execute ?? forkedExecute({ source, threads: config.limits.threads })),
  },
  BackupService,
  ComponentProber,
  ComponentRegistry,
];

/** What the feature modules share: one engine, one queue of runs. */
@Module({})
export class BackupCoreModule {
  static register(options: Provider, imports: DynamicModule['imports'] = []): DynamicModule {
    return {
      module: BackupCoreModule,
      imports,
      providers: [options, ...OWN],
      exports: [
        BACKUP_OPTIONS,
        BACKUP_CLOCK,
        BACKUP_ENGINE,
        RunManager,
        BackupService,
        ComponentProber,
        ComponentRegistry,
      ],
    };
  }
}
