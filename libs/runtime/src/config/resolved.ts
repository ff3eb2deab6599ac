import type { ComponentDriver } from '@foodsave-backup/component';
import type { ComponentSpec, LogLevel } from '@foodsave-backup/contracts/types';
import type { Secret } from './secret.ts';

export interface LoadConfigOptions {
  /** `--config`: the file, relative to `cwd`. */
  readonly configPath?: string | undefined;
  /** `--repository`: a directory, relative to `cwd`; takes the place of the file's. */
  readonly repository?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  readonly cwd: string;
  /** Receives what is odd, but no error: one sentence each, never with a value. */
  readonly warn: (message: string) => void;
}

/**
 * Everything the configuration says, from file, environment and defaults. All paths are absolute. Plain data, except for
 * `encryptionKey`: it becomes `"[secret]"` in JSON, so that handing it to another process takes a deliberate `reveal()`.
 */
export interface ResolvedConfig {
  /** The file, absolute, or `embedded default`. */
  readonly source: string;
  /** Directory of the file (the working directory without one): relative paths resolve from it. */
  readonly baseDir: string;
  readonly application: string;
  readonly repositoryPath: string;
  readonly stateDir: string;
  readonly components: readonly ComponentSpec[];
  /** Modules of custom components: absolute paths, or package names as written. */
  readonly plugins: readonly string[];
  /** What the modules of `plugins` define, in their order. */
  readonly customDrivers: readonly ComponentDriver[];

  readonly encryptionEnabled: boolean;
  /** Where the key file is, or would be made. */
  readonly keyFile: string;
  /** The key from the environment; comes before `keyFile`. */
  readonly encryptionKey: Secret | undefined;
  /** Zstandard level, 1 to 19. */
  readonly compressionLevel: number | undefined;
  readonly limits: {
    /** How many threads compress, hash and encrypt beside the main one, 1 to 64. */
    readonly threads: number;
    /** Bytes of the application that a backup reads a second. */
    readonly read?: number;
    /** Bytes that a run puts into the repository a second. */
    readonly upload?: number;
  };

  readonly retention: { readonly daily: number; readonly weekly: number; readonly monthly: number };
  /** IANA time zone in which retention counts days, weeks and months. */
  readonly timezone: string;
  readonly schedules: ResolvedSchedules;

  /** Whether create verifies what it stored. */
  readonly verifyAfterCreate: boolean;
  /** False: verification looks at sizes and presence only. */
  readonly checksumVerification: boolean;

  readonly server: { readonly host: string; readonly port: number; readonly allowedHosts: readonly string[] };
  readonly logLevel: LogLevel;
  readonly logFile: string;

  /** Keys of backup.yaml that the environment decides (`retention.daily`): changing the file would have no effect. */
  readonly overriddenByEnv: readonly string[];
}

/** Cron expressions of five fields; absent = not scheduled. */
export interface ResolvedSchedules {
  readonly backup?: string;
  readonly cleanup?: string;
  readonly verify?: string;
  readonly drill?: string;
  /** IANA time zone in which the expressions are read. */
  readonly timezone: string;
}
