import path from 'node:path';
import { Delete, HttpCode, Inject, Post, Res, UseGuards } from '@nestjs/common';
import {
  Backup,
  CheckRequest,
  CheckResult,
  CreateRequest,
  DeleteResult,
  RestoreRequest,
  RestoreResult,
  UndoRequest,
  VerifyRequest,
  VerifyResult,
} from '@foodsave-backup/contracts';
import type { Run } from '@foodsave-backup/contracts';
import type { Command, CreateResult } from '@foodsave-backup/engine';
import { BackupService } from '../core/backup.service.ts';
import { BACKUP_OPTIONS } from '../core/options.ts';
import type { BackupModuleOptions } from '../core/options.ts';
import { API, BackupController, runAddress } from '../http/controller.ts';
import type { HttpResponse } from '../http/messages.ts';
import { BackupName, IdempotencyKey, noParameters, Parameters } from '../http/parameters.ts';
import { ApiBackupName, ApiCommand } from '../openapi/decorators.ts';

const VERIFY_NOTE =
  'Damage is an answer, not an error: 200 with `status: "damaged"` and the list. The run it became is `failed`.';

/** Create, restore, undo, verify, check, delete. A run goes on when the client that started it goes away. */
@BackupController('backups')
export class CommandsController {
  readonly #backup: BackupService;
  readonly #options: BackupModuleOptions;

  constructor(backup: BackupService, @Inject(BACKUP_OPTIONS) options: BackupModuleOptions) {
    this.#backup = backup;
    this.#options = options;
  }

  @Post('create')
  @HttpCode(201)
  @ApiCommand({
    summary: 'Make a backup',
    description:
      'Of two requests at once with the same parameters and no name, the second joins the first; others queue. ' +
      'A backup in which a component failed is recorded with `status: "partial"`.',
    request: CreateRequest,
    result: Backup,
    status: 201,
    waits: true,
  })
  async create(
    @Parameters(CreateRequest) request: CreateRequest,
    @IdempotencyKey() key: string | undefined,
    @Res({ passthrough: true }) response: HttpResponse,
  ): Promise<Backup | Run> {
    const { backup_name: name, verify, components, wait } = request;
    const command: Command = {
      command: 'create',
      ...(name === undefined ? {} : { name }),
      ...(components === undefined ? {} : { components }),
      ...(verify === undefined ? {} : { verify }),
      trigger: 'manual',
    };
    const answer = await this.#carryOut<CreateResult>(command, { wait, key, response });
    if (!('backup' in answer)) return answer;
    response.setHeader('Location', `/${API}/backups/${answer.backup.name}`);
    return answer.backup;
  }

  @Post('restore/:name')
  @HttpCode(200)
  @ApiBackupName()
  @ApiCommand({
    summary: 'Restore a backup',
    description:
      'Without `target` the live data is replaced, after a safety backup that `POST /undo` goes back to. ' +
      'What could not be restored is listed under `failed`.',
    request: RestoreRequest,
    result: RestoreResult,
    waits: true,
  })
  restore(
    @BackupName() name: string,
    @Parameters(RestoreRequest) request: RestoreRequest,
    @IdempotencyKey() key: string | undefined,
    @Res({ passthrough: true }) response: HttpResponse,
  ): Promise<RestoreResult | Run> {
    const { components, target, path: inside, dry_run: dryRun, wait } = request;
    const command: Command = {
      command: 'restore',
      name,
      ...(components === undefined ? {} : { components }),
      ...(inside === undefined ? {} : { paths: [inside.replace(/\/$/, '')] }),
      ...(target === undefined ? {} : { target: path.resolve(this.#options.config.baseDir, target) }),
      dryRun,
    };
    return this.#carryOut<RestoreResult>(command, { wait, key, response });
  }

  @Post('undo')
  @HttpCode(200)
  @ApiCommand({
    summary: 'Undo the last restore into the live data',
    request: UndoRequest,
    result: RestoreResult,
    waits: true,
  })
  undo(
    @Parameters(UndoRequest) { dry_run: dryRun, wait }: UndoRequest,
    @IdempotencyKey() key: string | undefined,
    @Res({ passthrough: true }) response: HttpResponse,
  ): Promise<RestoreResult | Run> {
    return this.#carryOut<RestoreResult>({ command: 'undo', dryRun }, { wait, key, response });
  }

  @Post('verify/:name')
  @HttpCode(200)
  @ApiBackupName()
  @ApiCommand({
    summary: 'Verify a backup',
    description: VERIFY_NOTE,
    request: VerifyRequest,
    result: VerifyResult,
    waits: true,
  })
  verify(
    @BackupName() name: string,
    @Parameters(VerifyRequest) { level, wait }: VerifyRequest,
    @IdempotencyKey() key: string | undefined,
    @Res({ passthrough: true }) response: HttpResponse,
  ): Promise<VerifyResult | Run> {
    return this.#carryOut<VerifyResult>({ command: 'verify', name, level }, { wait, key, response });
  }

  @Post('check')
  @HttpCode(200)
  @ApiCommand({
    summary: 'Check the whole repository',
    description: VERIFY_NOTE,
    request: CheckRequest,
    result: CheckResult,
    waits: true,
  })
  check(
    @Parameters(CheckRequest) { read_data: readData, wait }: CheckRequest,
    @IdempotencyKey() key: string | undefined,
    @Res({ passthrough: true }) response: HttpResponse,
  ): Promise<CheckResult | Run> {
    return this.#carryOut<CheckResult>({ command: 'check', readData }, { wait, key, response });
  }

  @Delete('backups/:name')
  @UseGuards(noParameters)
  @ApiBackupName()
  @ApiCommand({ summary: 'Delete a backup', result: DeleteResult, waits: false })
  delete(
    @BackupName() name: string,
    @IdempotencyKey() key: string | undefined,
    @Res({ passthrough: true }) response: HttpResponse,
  ): Promise<DeleteResult | Run> {
    return this.#carryOut<DeleteResult>({ command: 'delete', name }, { wait: true, key, response });
  }

  async #carryOut<Result>(
    command: Command,
    request: { wait: boolean; key: string | undefined; response: HttpResponse },
  ): Promise<Result | Run> {
    const run = this.#backup.submit(command, { idempotencyKey: request.key });
    if (request.wait) return (await this.#backup.resultOf(run)) as Result;
    request.response.setHeader('Location', runAddress(run.id));
    request.response.status(202);
    return run.view();
  }
}
