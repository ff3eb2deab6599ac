import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { ComponentsController } from './components.controller.ts';

/** What the kinds of components have in common: one list of all of them. */
@Module({ controllers: [ComponentsController] })
export class ComponentsModule {
  static register(core: DynamicModule): DynamicModule {
    return { module: ComponentsModule, imports: [core] };
  }
}
