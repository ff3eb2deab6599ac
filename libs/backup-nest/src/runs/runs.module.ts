import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { RunsController } from './runs.controller.ts';

/** Runs and their events. */
@Module({ controllers: [RunsController] })
export class RunsModule {
  static register(core: DynamicModule): DynamicModule {
    return { module: RunsModule, imports: [core] };
  }
}
