import type { Clock } from '@foodsave-backup/kernel';
import type { Engine, Execute } from '@foodsave-backup/engine';
import type { ConfigSource, ResolvedConfig } from '@foodsave-backup/runtime';

/** What `BackupModule.forRoot()` takes. */
export interface BackupModuleOptions {
  config: ResolvedConfig;
  /** How the child process of a run finds the same configuration. */
  source: ConfigSource;
  /** The environment that components may capture; absent: this process's. */
  env?: Readonly<Record<string, string | undefined>>;
  clock?: Clock;
  /** Carries out the runs; absent: each in a child process of its own. */
  execute?: Execute;
  /** A download ends when its client has taken nothing of what waits for it for so many ms; absent: a minute. */
  downloadIdleMs?: number;
}

/** Token of the `BackupModuleOptions`. */
export const BACKUP_OPTIONS = Symbol('BACKUP_OPTIONS');
/** Token of the `Engine` that answers questions in this process. */
export const BACKUP_ENGINE = Symbol('BACKUP_ENGINE');
/** Token of the `Clock`. */
export const BACKUP_CLOCK = Symbol('BACKUP_CLOCK');

/** The part of the engine that answers without becoming a run. */
export type EngineQuestions = Pick<
  Engine,
  'list' | 'show' | 'hold' | 'tree' | 'stats' | 'health' | 'execute' | 'close' | 'recover'
>;
