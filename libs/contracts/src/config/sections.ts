import { Transform } from '../validation.ts';
import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsString,
  Matches,
  Max,
  MaxLength,
  Min,
  ValidateIf,
} from '../validation.ts';
import { parseRate } from '@foodsave-backup/kernel';
import {
  IsCron,
  IsPath,
  IsRate,
  IsTimeZone,
  LOG_LEVELS,
  MayBeAbsent,
  Rule,
  isHost,
  parseLogLevel,
  says,
} from './rules.ts';
import type { LogLevel } from './rules.ts';

/** Names of component instances and of copies. */
export const INSTANCE_NAME = /^[a-z0-9][a-z0-9_-]{0,31}$/;

/**
 * Where the backups lie. Also written short: a path, or an `s3://` or `sftp://` address. Only `local` can be used so far;
 * the others are parsed so that they can be refused with a clear reason.
 */
export class RepositoryConfig {
  @IsIn(['local', 's3', 'sftp'], says('must be local', 'repository: { type: local, path: ./backups }'))
  type: 'local' | 's3' | 'sftp' = 'local';

  /** Of a local repository: its directory, relative to the configuration file. */
  @ValidateIf((o: RepositoryConfig) => o.type === 'local' || o.path !== undefined)
  @IsPath('repository: { type: local, path: ./backups }')
  path?: string;

  /** Of a remote repository: `s3://bucket/prefix`, `sftp://user@host/directory`. */
  @MayBeAbsent()
  @IsString(says('must be an address (text)', 'url: "sftp://backup@nas/backups"'))
  url?: string;
}

/** When what runs by itself: cron expressions of five fields; absent or `false` = not scheduled. */
export class SchedulesConfig {
  @MayBeAbsent()
  @IsCron('backup: "0 2 * * *"')
  backup?: string | false;

  @MayBeAbsent()
  @IsCron('cleanup: "0 3 * * 0"')
  cleanup?: string | false;

  @MayBeAbsent()
  @IsCron('verify: "0 4 * * 1"')
  verify?: string | false;

  @MayBeAbsent()
  @IsCron('drill: "0 5 1 * *"')
  drill?: string | false;

  /** IANA time zone in which the expressions are read; absent: the system's. */
  @MayBeAbsent()
  @IsTimeZone()
  timezone?: string;
}

const PERIODS = 'must be a whole number from 0 to 10000 (0 turns this tier off)';
const daily = says(PERIODS, 'daily: 7');
const weekly = says(PERIODS, 'weekly: 4');
const monthly = says(PERIODS, 'monthly: 12');

/** Grandfather-father-son: how many calendar days, weeks and months keep their newest complete backup. */
export class RetentionConfig {
  @IsInt(daily)
  @Min(0, daily)
  @Max(10_000, daily)
  daily = 7;

  @IsInt(weekly)
  @Min(0, weekly)
  @Max(10_000, weekly)
  weekly = 4;

  @IsInt(monthly)
  @Min(0, monthly)
  @Max(10_000, monthly)
  monthly = 12;

  /** IANA time zone of the calendar; absent: that of the schedules, then the system's. */
  @MayBeAbsent()
  @IsTimeZone()
  timezone?: string;
}

export class EncryptionConfig {
  /** Whether a repository that is made with this configuration encrypts. */
  @IsBoolean(says('must be true or false', 'enabled: true'))
  enabled = true;

  /** The key file; absent: `backup.key` in the state directory. Never inside the repository or a component. */
  @MayBeAbsent()
  @IsPath('keyFile: ./state/backup.key')
  keyFile?: string;
}

const level = says('must be a whole number from 1 (fast) to 19 (small)', 'level: 3');

export class CompressionConfig {
  /** Zstandard level, 1 to 19; absent: 3, and 1 for what would otherwise wait for the processor. */
  @MayBeAbsent()
  @IsInt(level)
  @Min(1, level)
  @Max(19, level)
  level?: number;
}

const threads = says('must be a whole number from 1 to 64', 'limits: { threads: 2 }');
const toRate = ({ value }: { value: unknown }): unknown => parseRate(value) ?? value;

/** What a run takes of the machine at most. */
export class LimitsConfig {
  /** How many threads compress and hash beside the main one; absent: as many as there are processors. */
  @MayBeAbsent()
  @IsInt(threads)
  @Min(1, threads)
  @Max(64, threads)
  threads?: number;

  /** Bytes of the application that a backup reads a second; written `50 MB`. Absent: as fast as it can. */
  @MayBeAbsent()
  @Transform(toRate)
  @IsRate('limits: { read: 50 MB }')
  read?: number;

  /** Bytes that a run puts into the repository a second; written `10 MB`. Absent: as fast as it can. */
  @MayBeAbsent()
  @Transform(toRate)
  @IsRate('limits: { upload: 10 MB }')
  upload?: number;
}

export class VerifyConfig {
  /** Whether every create is followed by a verification of what it stored. */
  @IsBoolean(says('must be true or false', 'afterCreate: true'))
  afterCreate = true;

  /** `false`: verification looks at sizes and presence only. */
  @IsBoolean(says('must be true or false', 'checksums: true'))
  checksums = true;
}

const port = says('must be a port number from 0 to 65535 (0: any free one)', 'port: 8000');

export class ServerConfig {
  /** Address to listen on. */
  @Rule('isHost', isHost, says('must be an IP address or a host name', 'host: 127.0.0.1'))
  host = '127.0.0.1';

  @IsInt(port)
  @Min(0, port)
  @Max(65_535, port)
  port = 8000;

  /** Host names under which the server may be called, besides the address it listens on and `localhost`. */
  @Rule(
    'areHosts',
    (value) => Array.isArray(value) && value.length <= 100 && value.every(isHost),
    says('must be a list of host names', 'allowedHosts: [backup.example.org]'),
  )
  allowedHosts: string[] = [];
}

export class LoggingConfig {
  @Transform(({ value }: { value: unknown }) => parseLogLevel(value) ?? value)
  @IsIn(LOG_LEVELS, says(`must be one of ${LOG_LEVELS.join(', ')}`, 'level: info'))
  level: LogLevel = 'info';

  /** The log file beside the console, relative to the configuration file. */
  @IsPath('file: ./logs/app.log')
  file = './logs/app.log';
}

const days = says('must be a whole number of days from 1 to 36500', 'objectLock: { mode: COMPLIANCE, days: 30 }');

/** Object lock of an S3 bucket: nobody deletes before the time is over. */
export class ObjectLockConfig {
  @IsIn(
    ['COMPLIANCE', 'GOVERNANCE'],
    says('must be COMPLIANCE or GOVERNANCE', 'objectLock: { mode: COMPLIANCE, days: 30 }'),
  )
  mode!: 'COMPLIANCE' | 'GOVERNANCE';

  @IsInt(days)
  @Min(1, days)
  @Max(36_500, days)
  days!: number;
}

const text = (example: string): ReturnType<typeof says> => says('must be a text of 1 to 1024 characters', example);

/** A full replica of the repository on another medium. */
export class CopyConfig {
  @Matches(
    INSTANCE_NAME,
    says('must be 1 to 32 lower-case letters, digits, dashes or underscores', '{ name: nas, type: sftp, … }'),
  )
  name!: string;

  @IsIn(['local', 'sftp', 's3'], says('must be local, sftp or s3', '{ name: nas, type: sftp, … }'))
  type!: 'local' | 'sftp' | 's3';

  @ValidateIf((o: CopyConfig) => o.type === 'local' || o.path !== undefined)
  @IsPath('{ name: usb, type: local, path: /mnt/usb/backups }')
  path?: string;

  @ValidateIf((o: CopyConfig) => o.type === 'sftp' || o.url !== undefined)
  @Matches(/^sftp:\/\/\S{1,1000}$/, says('must be an sftp:// address', 'url: "sftp://backup@nas/backups"'))
  url?: string;

  @ValidateIf((o: CopyConfig) => o.type === 's3' || o.bucket !== undefined)
  @Matches(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, says('must be the name of a bucket', 'bucket: foodsave'))
  bucket?: string;

  @MayBeAbsent()
  @IsString(text('prefix: backups'))
  @MaxLength(1024, text('prefix: backups'))
  prefix?: string;

  @MayBeAbsent()
  @Matches(/^https?:\/\/\S{1,1000}$/, says('must be an http(s):// address', 'endpoint: "https://s3.example.org"'))
  endpoint?: string;

  @MayBeAbsent()
  @Matches(/^[a-z0-9-]{1,64}$/, says('must be the name of a region', 'region: eu-central-1'))
  region?: string;

  /** What kind of medium it is, for the 3-2-1 verdict. */
  @MayBeAbsent()
  @Matches(INSTANCE_NAME, says('must be one lower-case word', 'media: nas'))
  media?: string;

  /** Whether the medium is at another place. */
  @MayBeAbsent()
  @IsBoolean(says('must be true or false', 'offsite: true'))
  offsite?: boolean;

  /** Checked as a section of its own. */
  @MayBeAbsent()
  objectLock?: ObjectLockConfig;
}

/** The keys of backup.yaml that are no section of their own. */
export class TopLevelConfig {
  /** What is protected; stands in every manifest. */
  @Matches(
    /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,99}$/u,
    says('must be a name of 1 to 100 letters, digits, spaces, dots, dashes or underscores', 'application: foodsave'),
  )
  application = 'application';

  /** Modules that define components of their own: paths relative to the configuration file, or package names. */
  @IsArray(says('must be a list of module paths or package names', 'plugins: [./backup/mail.js]'))
  @ArrayMaxSize(100, says('must be a list of at most 100 modules', 'plugins: [./backup/mail.js]'))
  @Matches(/^[^\p{Cc}]{1,1024}$/u, {
    each: true,
    ...says('must be a list of module paths or package names', 'plugins: [./backup/mail.js]'),
  })
  plugins: string[] = [];
}
