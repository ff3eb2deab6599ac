import { Inject, Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationShutdown, OnModuleDestroy } from '@nestjs/common';
import { BackupError, deserializeError } from '@foodsave-backup/kernel';
import type { Command, Run, RunView } from '@foodsave-backup/engine';
import { RunManager } from '@foodsave-backup/runtime';
import { BACKUP_ENGINE } from './options.ts';
import type { EngineQuestions } from './options.ts';

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
  readonly #closing = new AbortController();

  constructor(@Inject(BACKUP_ENGINE) engine: EngineQuestions, runs: RunManager) {
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
