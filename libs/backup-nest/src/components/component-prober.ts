import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { Inject, Injectable } from '@nestjs/common';
import { BackupError, newId, toBackupError } from '@foodsave-backup/kernel';
import type { Clock } from '@foodsave-backup/kernel';
import type { ComponentSpec } from '@foodsave-backup/engine';
import { engineDeps } from '@foodsave-backup/runtime';
import { BACKUP_CLOCK, BACKUP_OPTIONS } from '../core/options.ts';
import type { BackupModuleOptions } from '../core/options.ts';
import type { ComponentEntry } from './component-entry.ts';

/** A source that does not answer (a network file system that hangs) is down, in ms. */
const PROBE_MS = 10_000;

type Driven = Pick<ReturnType<typeof engineDeps>, 'config' | 'drivers' | 'env'>;

/** Looks at the sources of components, through the same drivers that a backup uses. */
@Injectable()
export class ComponentProber {
  readonly #clock: Clock;
  readonly #driven: Driven;
  readonly #encrypted: boolean;

  constructor(@Inject(BACKUP_OPTIONS) options: BackupModuleOptions, @Inject(BACKUP_CLOCK) clock: Clock) {
    this.#clock = clock;
    this.#encrypted = options.config.encryptionEnabled;
    this.#driven = engineDeps(options.config, { clock, ...(options.env === undefined ? {} : { env: options.env }) });
  }

  /** The configured instances of one kind, in the order of the configuration. */
  instances(type: string): readonly ComponentSpec[] {
    return this.#driven.config.components.filter((spec) => spec.type === type);
  }

  get types(): readonly string[] {
    return [...new Set(this.#driven.config.components.map((spec) => spec.type))];
  }

  /** Never throws: what is wrong with a source is part of what is told of it. */
  async probe(spec: ComponentSpec, settings: Record<string, unknown>): Promise<ComponentEntry> {
    const { instance, type, driver } = spec;
    const known = { instance, type, driver, settings };
    try {
      return { ...known, status: 'up', ...(await this.#look(spec)) };
    } catch (error) {
      const { code, message, hint } = toBackupError(error);
      return { ...known, status: 'down', error: { code, message, ...(hint === undefined ? {} : { hint }) } };
    }
  }

  async #look(spec: ComponentSpec): Promise<Pick<ComponentEntry, 'summary' | 'bytes' | 'entries'>> {
    const { config, drivers, env } = this.#driven;
    const driver = drivers.find((one) => one.type === spec.type && one.driver === spec.driver);
    if (driver === undefined) {
      throw new BackupError('CONFIG_INVALID', `components.${spec.instance}: unknown driver "${spec.driver}"`, {
        hint: `Known for ${spec.type}: ${drivers.flatMap((one) => (one.type === spec.type ? [one.driver] : [])).join(', ')}.`,
      });
    }
    const scratchDir = path.join(config.stateDir, 'scratch', `probe-${process.pid}-${newId(this.#clock)}`);
    const context = { baseDir: config.baseDir, scratchDir, clock: this.#clock, env, encrypted: this.#encrypted };
    await mkdir(scratchDir, { recursive: true, mode: 0o700 });
    try {
      return await this.#inTime(driver.open(spec.instance, spec.config, context).probe(), spec.instance);
    } finally {
      await rm(scratchDir, { recursive: true, force: true });
    }
  }

  async #inTime<T>(work: Promise<T>, instance: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(
          new BackupError('TIMEOUT', `${instance} did not answer within ${PROBE_MS / 1000} seconds`, {
            hint: 'Check the disk or the network file system that it lies on.',
          }),
        );
      }, PROBE_MS);
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
