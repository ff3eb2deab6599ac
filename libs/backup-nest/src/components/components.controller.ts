import { Get, UseGuards } from '@nestjs/common';
import { BackupController } from '../http/controller.ts';
import { noParameters } from '../http/parameters.ts';
import { ApiQuestion } from '../openapi/decorators.ts';
import { ComponentList } from './component-entry.ts';
import { ComponentRegistry } from './component-registry.ts';

/** What is protected. */
@BackupController('components')
export class ComponentsController {
  readonly #registry: ComponentRegistry;

  constructor(registry: ComponentRegistry) {
    this.#registry = registry;
  }

  @Get('components')
  @UseGuards(noParameters)
  @ApiQuestion({ summary: 'The configured components, each looked at now', result: ComponentList })
  async list(): Promise<ComponentList> {
    return { items: await this.#registry.entries() };
  }
}
