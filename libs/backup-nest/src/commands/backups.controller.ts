import { Delete, Get, Put, UseGuards } from '@nestjs/common';
import {
  Backup,
  BackupPage,
  HoldRequest,
  ListRequest,
  Stats,
  TreeListing,
  TreeRequest,
} from '@foodsave-backup/contracts';
import { BackupService } from '../core/backup.service.ts';
import { BackupController } from '../http/controller.ts';
import { BackupName, noParameters, Parameters } from '../http/parameters.ts';
import { ApiBackupName, ApiChange, ApiQuestion } from '../openapi/decorators.ts';

/** What there is: backups, what is in them, figures; and which of them are pinned. */
@BackupController('backups')
export class BackupsController {
  readonly #backup: BackupService;

  constructor(backup: BackupService) {
    this.#backup = backup;
  }

  @Get('list')
  @ApiQuestion({ summary: 'List the backups, newest first', request: ListRequest, result: BackupPage })
  list(@Parameters(ListRequest) request: ListRequest): Promise<BackupPage> {
    return this.#backup.engine.list(request);
  }

  @Get('stats')
  @UseGuards(noParameters)
  @ApiQuestion({ summary: 'Figures of the repository', result: Stats })
  stats(): Promise<Stats> {
    return this.#backup.engine.stats();
  }

  @Get('backups/:name')
  @UseGuards(noParameters)
  @ApiBackupName()
  @ApiQuestion({ summary: 'One backup', result: Backup })
  show(@BackupName() name: string): Promise<Backup> {
    return this.#backup.engine.show(name);
  }

  @Put('backups/:name/hold')
  @ApiBackupName()
  @ApiChange({
    summary: 'Hold a backup',
    description: 'Neither retention nor a delete removes a held backup. The same request again changes nothing.',
    request: HoldRequest,
    result: Backup,
  })
  hold(@BackupName() name: string, @Parameters(HoldRequest) { reason }: HoldRequest): Promise<Backup> {
    return this.#backup.engine.hold(name, { on: true, ...(reason === undefined ? {} : { reason }) });
  }

  @Delete('backups/:name/hold')
  @UseGuards(noParameters)
  @ApiBackupName()
  @ApiChange({ summary: 'Let go of a held backup', result: Backup })
  unhold(@BackupName() name: string): Promise<Backup> {
    return this.#backup.engine.hold(name, { on: false });
  }

  @Get('backups/:name/tree')
  @ApiBackupName()
  @ApiQuestion({ summary: 'One directory of a backup', request: TreeRequest, result: TreeListing })
  tree(@BackupName() name: string, @Parameters(TreeRequest) request: TreeRequest): Promise<TreeListing> {
    return this.#backup.engine.tree(name, request.path ?? '', request.component);
  }
}
