import { Delete, Get, UseGuards } from '@nestjs/common';
import { CleanupRequest, CleanupResult } from '@foodsave-backup/contracts';
import { BackupService } from '../core/backup.service.ts';
import { BackupController } from '../http/controller.ts';
import { IdempotencyKey, noParameters, Parameters } from '../http/parameters.ts';
import { ApiCommand, ApiQuestion } from '../openapi/decorators.ts';
import { RetentionService } from './retention.service.ts';
import { RetentionView } from './retention-view.ts';

/** Which backups stay, why, and the deletion of the others. */
@BackupController('retention')
export class RetentionController {
  readonly #backup: BackupService;
  readonly #retention: RetentionService;

  constructor(backup: BackupService, retention: RetentionService) {
    this.#backup = backup;
    this.#retention = retention;
  }

  @Get('retention')
  @UseGuards(noParameters)
  @ApiQuestion({ summary: 'The retention policy, and what a cleanup would do now', result: RetentionView })
  view(): Promise<RetentionView> {
    return this.#retention.view();
  }

  @Delete('cleanup')
  @ApiCommand({
    summary: 'Delete the backups that the retention policy does not keep, and free their space',
    description: 'Each backup is explained: kept because, deleted because.',
    request: CleanupRequest,
    result: CleanupResult,
    waits: false,
  })
  async cleanup(
    @Parameters(CleanupRequest) { dry_run: dryRun }: CleanupRequest,
    @IdempotencyKey() idempotencyKey: string | undefined,
  ): Promise<CleanupResult> {
    const run = this.#backup.submit({ command: 'cleanup', dryRun }, { idempotencyKey });
    return (await this.#backup.resultOf(run)) as CleanupResult;
  }
}
