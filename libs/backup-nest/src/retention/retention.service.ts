import { Inject, Injectable } from '@nestjs/common';
import { BackupError, newId, toBackupError } from '@foodsave-backup/kernel';
import type { Clock } from '@foodsave-backup/kernel';
import type { CleanupResult } from '@foodsave-backup/engine';
import { BackupService } from '../core/backup.service.ts';
import { BACKUP_CLOCK, BACKUP_OPTIONS } from '../core/options.ts';
import type { BackupModuleOptions } from '../core/options.ts';
import type { RetentionPlanView, RetentionView } from './retention-view.ts';

const SECTION = 'retention.';

/** The retention policy and what it would do now. */
@Injectable()
export class RetentionService {
  readonly #options: BackupModuleOptions;
  readonly #backup: BackupService;
  readonly #clock: Clock;

  constructor(
    @Inject(BACKUP_OPTIONS) options: BackupModuleOptions,
    backup: BackupService,
    @Inject(BACKUP_CLOCK) clock: Clock,
  ) {
    this.#options = options;
    this.#backup = backup;
    this.#clock = clock;
  }

  async view(): Promise<RetentionView> {
    const { retention, timezone, overriddenByEnv } = this.#options.config;
    const { daily, weekly, monthly } = retention;
    const overridden = overriddenByEnv.filter((key) => key.startsWith(SECTION)).map((key) => key.slice(SECTION.length));
    return { policy: { daily, weekly, monthly }, timezone, overriddenByEnv: overridden, ...(await this.#plan()) };
  }

  async #plan(): Promise<Pick<RetentionView, 'plan' | 'planError'>> {
    try {
      const { kept, deleted, freedBytes, blocked } = await this.#dryRun();
      const plan: RetentionPlanView = { kept, deleted, freedBytes, ...(blocked === undefined ? {} : { blocked }) };
      return { plan };
    } catch (error) {
      const { code, message, hint } = toBackupError(error);
      return { planError: { code, message, ...(hint === undefined ? {} : { hint }) } };
    }
  }

  /**
   * A question, not a run: it leaves nothing in the list of runs. The engine looks at the repository alone for it, so it
   * gives way to runs, which must not wait for it.
   */
  async #dryRun(): Promise<CleanupResult> {
    const { runs, engine, closing } = this.#backup;
    if (runs.list().some((run) => run.finishedAt === undefined)) throw busy();
    const giveWay = new AbortController();
    const stop = runs.listen((event) => {
      if (event.type === 'run.started') giveWay.abort(busy());
    });
    try {
      const outcome = await engine.execute(
        { command: 'cleanup', dryRun: true },
        {
          runId: newId(this.#clock),
          signal: AbortSignal.any([giveWay.signal, closing]),
          emit: () => undefined,
          progress: () => undefined,
        },
      );
      return outcome.result as CleanupResult;
    } finally {
      stop();
    }
  }
}

function busy(): BackupError {
  return new BackupError('LOCKED', 'There is no preview while a run is at work', {
    hint: 'Ask again when it has ended.',
  });
}
