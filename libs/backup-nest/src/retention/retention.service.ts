import { Inject, Injectable } from '@nestjs/common';
import { newId, toBackupError } from '@foodsave-backup/kernel';
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

  /** A question, not a run: it leaves nothing in the list of runs and takes no lease. */
  async #dryRun(): Promise<CleanupResult> {
    const { engine, closing } = this.#backup;
    const context = { runId: newId(this.#clock), signal: closing, emit: () => undefined, progress: () => undefined };
    return (await engine.execute({ command: 'cleanup', dryRun: true }, context)).result as CleanupResult;
  }
}
