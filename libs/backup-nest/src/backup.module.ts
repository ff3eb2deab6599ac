import { Inject, Module } from '@nestjs/common';
import type {
  DynamicModule,
  FactoryProvider,
  MiddlewareConsumer,
  ModuleMetadata,
  NestModule,
  Provider,
} from '@nestjs/common';
import { CommandsModule } from './commands/commands.module.ts';
import { ComponentsModule } from './components/components.module.ts';
import { ConfigBackupModule } from './components/config-backup.module.ts';
import { DatabaseBackupModule } from './components/database-backup.module.ts';
import { FilesBackupModule } from './components/files-backup.module.ts';
import { VectorStoreBackupModule } from './components/vector-store-backup.module.ts';
import { BackupCoreModule } from './core/core.module.ts';
import { BACKUP_OPTIONS } from './core/options.ts';
import type { BackupModuleOptions } from './core/options.ts';
import { HealthModule } from './health/health.module.ts';
import { API } from './http/controller.ts';
import { createGatekeeper } from './http/gatekeeper.ts';
import { apiHeaders } from './http/headers.ts';
import { RetentionModule } from './retention/retention.module.ts';
import { RunsModule } from './runs/runs.module.ts';

/** What `BackupModule.forRootAsync()` takes: how to make the options from providers of the application. */
export type BackupModuleAsyncOptions = Pick<ModuleMetadata, 'imports'> &
  Pick<FactoryProvider<BackupModuleOptions>, 'useFactory' | 'inject'>;

/**
 * Backups inside a NestJS application: the API under `/api/v2/backup`, `/health/live`, and `BackupService` to inject.
 *
 * `BackupModule.forRoot({ config: await loadConfig({ … }), source: { cwd: process.cwd() } })`
 */
@Module({})
export class BackupModule implements NestModule {
  readonly #options: BackupModuleOptions;

  constructor(@Inject(BACKUP_OPTIONS) options: BackupModuleOptions) {
    this.#options = options;
  }

  static forRoot(options: BackupModuleOptions): DynamicModule {
    return assemble({ provide: BACKUP_OPTIONS, useValue: options });
  }

  static forRootAsync({ imports, inject, useFactory }: BackupModuleAsyncOptions): DynamicModule {
    const provider: Provider = { provide: BACKUP_OPTIONS, useFactory, ...(inject === undefined ? {} : { inject }) };
    return assemble(provider, imports);
  }

  configure(consumer: MiddlewareConsumer): void {
    consumer
      .apply(createGatekeeper(this.#options.config.server.allowedHosts), apiHeaders)
      .forRoutes(API, `${API}/*path`, 'health/live');
  }
}

function assemble(options: Provider, imports?: ModuleMetadata['imports']): DynamicModule {
  // One object for all, so that Nest makes one engine and one queue of runs.
  const core = BackupCoreModule.register(options, imports);
  const features = [
    CommandsModule,
    RunsModule,
    RetentionModule,
    HealthModule,
    ComponentsModule,
    DatabaseBackupModule,
    FilesBackupModule,
    ConfigBackupModule,
    VectorStoreBackupModule,
  ].map((feature) => feature.register(core));
  return { module: BackupModule, imports: [core, ...features], exports: [core, ...features] };
}
