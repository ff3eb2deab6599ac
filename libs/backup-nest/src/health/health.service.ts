import { Injectable } from '@nestjs/common';
import { HealthCheckService, HealthIndicatorService } from '@nestjs/terminus';
import type { HealthIndicatorFunction } from '@nestjs/terminus';
import { toBackupError } from '@foodsave-backup/kernel';
import type { HealthIndicator } from '@foodsave-backup/engine';
import { BackupService } from '../core/backup.service.ts';

/** The engine's indicators as Terminus' own, so that an application can add them to a check of its own. */
@Injectable()
export class BackupHealth {
  readonly #backup: BackupService;
  readonly #indicators: HealthIndicatorService;
  readonly #checks: HealthCheckService;

  constructor(backup: BackupService, indicators: HealthIndicatorService, checks: HealthCheckService) {
    this.#backup = backup;
    this.#indicators = indicators;
    this.#checks = checks;
  }

  /** One function an indicator; none of them throws, so that none hides the others. */
  async indicators(): Promise<HealthIndicatorFunction[]> {
    const found = await this.#look();
    return Object.entries(found).map(([name, { status, ...facts }]) => () => {
      const session = this.#indicators.check(name);
      return status === 'up' ? session.up(facts) : session.down(facts);
    });
  }

  /** Throws ServiceUnavailableException with the same body when something is down. */
  async check(): ReturnType<HealthCheckService['check']> {
    return this.#checks.check(await this.indicators());
  }

  async #look(): Promise<Record<string, HealthIndicator>> {
    try {
      return (await this.#backup.engine.health()).indicators;
    } catch (error) {
      const { code, message, hint } = toBackupError(error);
      return { engine: { status: 'down', message, code, ...(hint === undefined ? {} : { hint }) } };
    }
  }
}
