import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { RetentionController } from './retention.controller.ts';
import { RetentionService } from './retention.service.ts';

/** Retention: policy, preview, cleanup. */
@Module({ controllers: [RetentionController], providers: [RetentionService], exports: [RetentionService] })
export class RetentionModule {
  static register(core: DynamicModule): DynamicModule {
    return { module: RetentionModule, imports: [core] };
  }
}
