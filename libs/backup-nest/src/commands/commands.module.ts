import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { ArchivesController } from './archives.controller.ts';
import { BackupsController } from './backups.controller.ts';
import { CommandsController } from './commands.controller.ts';

/** Backups: make, restore, verify, delete, look at. */
@Module({ controllers: [CommandsController, BackupsController, ArchivesController] })
export class CommandsModule {
  static register(core: DynamicModule): DynamicModule {
    return { module: CommandsModule, imports: [core] };
  }
}
