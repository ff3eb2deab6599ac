import path from 'node:path';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Get, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import { DownloadRequest, ImportRequest, ImportResult, validateRequest } from '@foodsave-backup/contracts';
import type { Run } from '@foodsave-backup/contracts';
import { BackupError, deserializeError } from '@foodsave-backup/kernel';
import { ARCHIVE_DESCRIPTOR } from '@foodsave-backup/runtime';
import { BackupService } from '../core/backup.service.ts';
import { BACKUP_OPTIONS } from '../core/options.ts';
import type { BackupModuleOptions } from '../core/options.ts';
import { attachment } from '../http/attachment.ts';
import { BackupController, runAddress } from '../http/controller.ts';
import type { HttpRequest, HttpResponse } from '../http/messages.ts';
import { BackupName, Parameters } from '../http/parameters.ts';
import { DOWNLOAD_IDLE_MS, endWhenUntaken } from '../http/taken.ts';
import { assertArchiveBody, receivedArchive } from '../http/upload.ts';
import { ApiBackupName, ApiDownload, ApiUpload } from '../openapi/decorators.ts';

const TYPES = { zip: 'application/zip', 'tar.gz': 'application/gzip', file: 'application/octet-stream' } as const;

/** Backups as plain archives: out of the repository, and into it. */
@BackupController('backups')
export class ArchivesController {
  readonly #backup: BackupService;
  readonly #options: BackupModuleOptions;

  constructor(backup: BackupService, @Inject(BACKUP_OPTIONS) options: BackupModuleOptions) {
    this.#backup = backup;
    this.#options = options;
  }

  @Get('backups/:name/download')
  @ApiBackupName()
  @ApiDownload(
    'Download a backup as ZIP or TAR.GZ, or one file of it',
    'An archive is **not encrypted**, also that of an encrypted repository. Each content is compared with its SHA-256 while ' +
      'it is sent; damage breaks the connection, so that a whole answer is a whole archive. ' +
      'A client that takes nothing for a minute loses its connection.',
    DownloadRequest,
  )
  async download(
    @BackupName() name: string,
    @Parameters(DownloadRequest) request: DownloadRequest,
    @Req() { method }: HttpRequest,
    @Res() response: HttpResponse,
  ): Promise<void> {
    const { format, components, path: inside } = request;
    const wanted = inside?.replace(/\/$/, '');
    const file = format === 'file' ? path.posix.basename(wanted ?? name) : `${name}.${format}`;
    const headers = {
      'Content-Type': TYPES[format],
      'Content-Disposition': attachment(file),
      'X-Content-Type-Options': 'nosniff',
    };
    if (method === 'HEAD') {
      await this.#backup.engine.show(name);
      response.writeHead(200, headers).end();
      return;
    }
    const body = new PassThrough();
    const run = this.#backup.download(
      {
        command: 'export',
        name,
        format,
        ...(components === undefined ? {} : { components }),
        ...(wanted === undefined ? {} : { paths: [wanted] }),
        output: { descriptor: ARCHIVE_DESCRIPTOR },
      },
      body,
    );
    // Until the first byte a failure can still be told in words.
    if (!(await begun(body))) {
      const { error } = await run.finished;
      throw error === undefined
        ? new BackupError('INTERRUPTED', 'The download did not begin')
        : deserializeError(error);
    }
    response.writeHead(200, headers);
    endWhenUntaken(response, this.#options.downloadIdleMs ?? DOWNLOAD_IDLE_MS);
    // A failure on either side destroys the other: the connection breaks, or the run is cancelled.
    await pipeline(body, response).catch(() => undefined);
  }

  @Post('import')
  @HttpCode(201)
  @ApiUpload({
    summary: 'Import an archive',
    description:
      'Makes a backup of a ZIP or TAR.GZ that was exported, after all of it was checked: CRC, SHA-256, manifest. ' +
      'For example `curl --data-binary @backup.zip -H "Content-Type: application/zip" …/import`.',
    request: ImportRequest,
    result: ImportResult,
    status: 201,
  })
  async import(
    @Req() request: HttpRequest,
    @Res({ passthrough: true }) response: HttpResponse,
  ): Promise<ImportResult | Run> {
    const { name, dry_run: dryRun, wait } = validateRequest(ImportRequest, request.query);
    assertArchiveBody(request);
    const { stateDir } = this.#options.config;
    const { file, release } = await receivedArchive(request, stateDir);
    let run: ReturnType<BackupService['submit']>;
    try {
      run = this.#backup.submit({ command: 'import', file, dryRun, ...(name === undefined ? {} : { name }) });
    } catch (error) {
      await release();
      throw error;
    }
    const released = run.finished.then(release);
    if (!wait) {
      response.setHeader('Location', runAddress(run.id));
      response.status(202);
      return run.view();
    }
    await released;
    const result = (await this.#backup.resultOf(run)) as ImportResult;
    if (dryRun) response.status(200);
    return result;
  }
}

/** Whether there is something to read, or a whole answer of nothing; otherwise it failed before the first byte. */
function begun(body: PassThrough): Promise<boolean> {
  return new Promise((resolve) => {
    const good = (): void => {
      resolve(true);
    };
    const bad = (): void => {
      resolve(false);
    };
    body.once('readable', good).once('end', good).once('close', bad).on('error', bad);
  });
}
