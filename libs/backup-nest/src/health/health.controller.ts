import { Controller, Get, Res, ServiceUnavailableException, UseGuards } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProperty, ApiResponse, ApiTags } from '@nestjs/swagger';
import { Health } from '@foodsave-backup/contracts';
import { BackupController } from '../http/controller.ts';
import type { HttpResponse } from '../http/messages.ts';
import { noParameters } from '../http/parameters.ts';
import { ApiQuestion } from '../openapi/decorators.ts';
import { BackupHealth } from './health.service.ts';

/** `GET /health`. */
@BackupController('health')
export class HealthController {
  readonly #health: BackupHealth;

  constructor(health: BackupHealth) {
    this.#health = health;
  }

  @Get('health')
  @UseGuards(noParameters)
  @ApiQuestion({
    summary: 'Whether backups are in order',
    description: 'The shape of @nestjs/terminus. No backup yet, and none overdue, is healthy.',
    result: Health,
  })
  @ApiResponse({ status: 503, type: Health, description: 'Something is down: see `error`.' })
  async health(@Res({ passthrough: true }) response: HttpResponse): Promise<Health> {
    try {
      return (await this.#health.check()) as Health;
    } catch (error) {
      if (!(error instanceof ServiceUnavailableException)) throw error;
      response.status(503);
      return error.getResponse() as Health;
    }
  }
}

/** `GET /health/live`. */
export class Liveness {
  @ApiProperty({ enum: ['ok'], example: 'ok' })
  status!: 'ok';
}

/** For whoever restarts a process that hangs: it answers, whatever the state of the backups. */
@Controller('health')
@ApiTags('health')
export class LivenessController {
  @Get('live')
  @ApiOperation({ summary: 'Whether the process answers' })
  @ApiOkResponse({ type: Liveness })
  live(): Liveness {
    return { status: 'ok' };
  }
}
