import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { HealthController } from './health/health.controller.ts';
import { ProductsModule } from './products/products.module.ts';
import { ReceiptsModule } from './receipts/receipts.module.ts';
import { RecipesModule } from './recipes/recipes.module.ts';
import { StorageModule } from './storage/storage.module.ts';

@Module({})
export class AppModule {
  static forDatabase(path: string): DynamicModule {
    return {
      module: AppModule,
      imports: [StorageModule.forFile(path), ProductsModule, ReceiptsModule, RecipesModule],
      controllers: [HealthController],
    };
  }
}
