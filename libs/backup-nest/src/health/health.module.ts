import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { HealthController, LivenessController } from './health.controller.ts';
import { BackupHealth } from './health.service.ts';

/** Health of the backups and of the process. `BackupHealth` is exported for health checks of the application's own. */
@Module({
  imports: [TerminusModule.forRoot({ logger: false })],
  controllers: [HealthController, LivenessController],
  providers: [BackupHealth],
  exports: [BackupHealth],
})
export class HealthModule {
  static register(core: DynamicModule): DynamicModule {
    return { module: HealthModule, imports: [core] };
  }
}
