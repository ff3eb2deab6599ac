import { Inject, Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationShutdown, OnModuleDestroy } from '@nestjs/common';
import { BackupError, deserializeError } from '@foodsave-backup/kernel';
import type { Command, Run, RunView } from '@foodsave-backup/engine';
import type { Writable } from 'node:stream';
import { forkedExport, RunManager } from '@foodsave-backup/runtime';
import { BACKUP_ENGINE, BACKUP_OPTIONS } from './options.ts';
import type { BackupModuleOptions, EngineQuestions } from './options.ts';

export interface SubmitRequest {
  /** Who asked; `api` unless said otherwise. */
  actor?: string;
  idempotencyKey?: string | undefined;
}

/** Backups for a NestJS application: commands become runs, questions are answered at once. */
@Injectable()
export class BackupService implements OnModuleDestroy, BeforeApplicationShutdown, OnApplicationShutdown {
  readonly engine: EngineQuestions;
  readonly runs: RunManager;
  readonly #options: BackupModuleOptions;
  readonly #closing = new AbortController();

  constructor(
    @Inject(BACKUP_ENGINE) engine: EngineQuestions,
    runs: RunManager,
    @Inject(BACKUP_OPTIONS) options: BackupModuleOptions,
  ) {
    this.#options = options;
    this.engine = engine;
    this.runs = runs;
  }

  /** Aborted when the application begins to stop: whoever streams events stops too. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  submit(command: Command, request: SubmitRequest = {}): Run {
    const { actor = 'api', idempotencyKey } = request;
    return this.runs.submit(command, { actor, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) });
  }

  /**
   * Starts an export to ARCHIVE_DESCRIPTOR whose archive goes into `out`, beside the queue: it only reads, and waits for
   * whoever takes it. `out` ends after a whole archive only.
   */
  download(command: Command, out: Writable): Run {
    const { source, config } = this.#options;
    return this.runs.beside(command, forkedExport({ source, threads: config.limits.threads }, out));
  }

  /**
   * The result of a run when it has ended. A run that failed with a result (damage that was found) answered its question:
   * that is no error here. Throws the error of any other run that did not succeed.
   */
  async resultOf(run: Run): Promise<unknown> {
    const view: RunView = await run.finished;
    if (view.result !== undefined && view.status !== 'cancelled') return view.result;
    if (view.error !== undefined) throw deserializeError(view.error);
    throw new BackupError('INTERRUPTED', `The run ended as ${view.status}`, { hint: 'Start it again.' });
  }

  onModuleDestroy(): void {
    this.#closing.abort();
  }

  /** Cancels what runs and waits for it, so that requests that wait for a run are answered before the server closes. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.runs.close();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.engine.close();
  }
}
