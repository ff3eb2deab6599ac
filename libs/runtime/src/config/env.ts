import path from 'node:path';
import { closest, isHost, parseBoolean, parseLogLevel, pathProblem } from '@foodsave-backup/contracts';
import type { LogLevel } from '@foodsave-backup/contracts';
import { printable } from '@foodsave-backup/kernel';
import { UnreadableFile, readTextFile } from './file.ts';
import { Secret } from './secret.ts';
import type { ConfigProblem } from './problems.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** What the environment says; a property is absent when its variable is. */
export interface EnvSettings {
  daily?: number;
  weekly?: number;
  monthly?: number;
  afterCreate?: boolean;
  checksums?: boolean;
  logLevel?: LogLevel;
  host?: string;
  port?: number;
  /** As written. */
  stateDir?: string;
  encryptionKey?: Secret;
  /** Absolute path of the file that the key came from. */
  encryptionKeyPath?: string;
}

/** The environment variables that take the place of a key of backup.yaml. */
export const ENV_KEYS: Readonly<Record<string, string>> = {
  BACKUP_DAILY_RETENTION_DAYS: 'retention.daily',
  BACKUP_WEEKLY_RETENTION_WEEKS: 'retention.weekly',
  BACKUP_MONTHLY_RETENTION_MONTHS: 'retention.monthly',
  BACKUP_VERIFY_ENABLED: 'verify.afterCreate',
  BACKUP_CHECKSUM_VERIFICATION: 'verify.checksums',
  BACKUP_ENCRYPTION_KEY: 'encryption.keyFile',
  BACKUP_ENCRYPTION_KEY_FILE: 'encryption.keyFile',
  LOG_LEVEL: 'logging.level',
  HOST: 'server.host',
  PORT: 'server.port',
};

const SECRETS = ['BACKUP_ENCRYPTION_KEY', 'CLOUD_ACCESS_KEY', 'CLOUD_SECRET_KEY'] as const;
const CLOUD_SETTINGS = [
  'CLOUD_ACCESS_KEY',
  'CLOUD_ACCESS_KEY_FILE',
  'CLOUD_SECRET_KEY',
  'CLOUD_SECRET_KEY_FILE',
  'CLOUD_BUCKET',
  'CLOUD_ENDPOINT',
  'CLOUD_REGION',
] as const;
const KNOWN = [
  ...Object.keys(ENV_KEYS),
  ...CLOUD_SETTINGS,
  'CLOUD_BACKUP_ENABLED',
  'BACKUP_CONFIG',
  'BACKUP_STATE_DIR',
];

const MAX_SECRET_BYTES = 64 * 1024;

/** The variable's text; one that is empty or blank counts as not set, as compose files and unit files leave them. */
export function envText(env: Env, name: string): string | undefined {
  const value = env[name];
  return value === undefined || value.trim() === '' ? undefined : value;
}

/** Reads and checks every variable of ours. Problems name the variable, the reason and an example, never the value. */
export async function readEnv(
  env: Env,
  baseDir: string,
  problems: ConfigProblem[],
  warn: (message: string) => void,
): Promise<EnvSettings> {
  const read = <T>(
    name: string,
    parse: (text: string) => T | undefined,
    reason: string,
    example: string,
  ): T | undefined => {
    const text = envText(env, name);
    if (text === undefined) return undefined;
    const value = parse(text.trim());
    if (value === undefined) problems.push({ key: name, reason, example: `${name}=${example}` });
    return value;
  };
  const periods = (name: string, example: string): number | undefined =>
    read(
      name,
      (text) => wholeNumber(text, 10_000),
      'must be a whole number from 0 to 10000 (0 turns this tier off)',
      example,
    );
  const flag = (name: string): boolean | undefined => read(name, parseBoolean, 'must be true or false', 'true');

  refuseCloud(env, flag('CLOUD_BACKUP_ENABLED'), problems, warn);
  for (const name of SECRETS) refuseBoth(env, name, problems);
  warnOfSlips(env, warn);
  return defined({
    daily: periods('BACKUP_DAILY_RETENTION_DAYS', '7'),
    weekly: periods('BACKUP_WEEKLY_RETENTION_WEEKS', '4'),
    monthly: periods('BACKUP_MONTHLY_RETENTION_MONTHS', '12'),
    afterCreate: flag('BACKUP_VERIFY_ENABLED'),
    checksums: flag('BACKUP_CHECKSUM_VERIFICATION'),
    logLevel: read('LOG_LEVEL', parseLogLevel, 'must be one of trace, debug, info, warn, error, fatal, silent', 'info'),
    host: read('HOST', parseHost, 'must be an IP address or a host name, without port', '127.0.0.1'),
    port: read(
      'PORT',
      (text) => wholeNumber(text, 65_535),
      'must be a port number from 0 to 65535 (0: any free one)',
      '8000',
    ),
    stateDir: stateDir(env, problems),
    ...(await encryptionKey(env, baseDir, problems)),
  });
}

function wholeNumber(text: string, max: number): number | undefined {
  const value = /^[0-9]{1,6}$/.test(text) ? Number(text) : undefined;
  return value !== undefined && value <= max ? value : undefined;
}

function parseHost(text: string): string | undefined {
  const bare = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  return isHost(bare) ? bare : undefined;
}

function stateDir(env: Env, problems: ConfigProblem[]): string | undefined {
  const text = envText(env, 'BACKUP_STATE_DIR');
  const problem = text === undefined ? undefined : pathProblem(text);
  if (problem === undefined) return text;
  problems.push({ key: 'BACKUP_STATE_DIR', reason: problem, example: 'BACKUP_STATE_DIR=/var/lib/foodsave-backup' });
  return undefined;
}

function refuseBoth(env: Env, name: string, problems: ConfigProblem[]): void {
  const file = `${name}_FILE`;
  if (envText(env, name) === undefined || envText(env, file) === undefined) return;
  problems.push({
    key: name,
    reason: `is set, and so is ${file}: only one of them can count`,
    hint: `Unset ${name} or ${file}.`,
  });
}

async function encryptionKey(
  env: Env,
  baseDir: string,
  problems: ConfigProblem[],
): Promise<Pick<EnvSettings, 'encryptionKey' | 'encryptionKeyPath'>> {
  const direct = envText(env, 'BACKUP_ENCRYPTION_KEY');
  const file = envText(env, 'BACKUP_ENCRYPTION_KEY_FILE');
  if (direct !== undefined) return { encryptionKey: new Secret(direct) };
  if (file === undefined) return {};
  const refuse = (reason: string): Record<string, never> => {
    // The path is not shown: someone may have put the key itself here.
    problems.push({
      key: 'BACKUP_ENCRYPTION_KEY_FILE',
      reason: `must name a file that holds the key, and the file ${reason}`,
      example: 'BACKUP_ENCRYPTION_KEY_FILE=/run/secrets/backup_key',
    });
    return {};
  };
  const absolute = path.resolve(baseDir, file);
  try {
    const text = (await readTextFile(absolute, MAX_SECRET_BYTES)).replace(/\r?\n$/, '');
    if (text.trim() === '') return refuse('is empty');
    return { encryptionKey: new Secret(text), encryptionKeyPath: absolute };
  } catch (error) {
    if (error instanceof UnreadableFile) return refuse(error.message);
    throw error;
  }
}

function refuseCloud(
  env: Env,
  enabled: boolean | undefined,
  problems: ConfigProblem[],
  warn: (message: string) => void,
): void {
  const set = CLOUD_SETTINGS.filter((name) => envText(env, name) !== undefined);
  if (enabled === true) {
    problems.push({
      key: 'CLOUD_BACKUP_ENABLED',
      reason: 'asks for off-site copies, which are not supported by this version yet: no copy would be made',
      hint: `Unset ${['CLOUD_BACKUP_ENABLED', ...set].join(', ')}. Until then copy the repository directory with a tool of your own.`,
    });
  } else if (set.length > 0 && envText(env, 'CLOUD_BACKUP_ENABLED') === undefined) {
    warn(`${set.join(', ')} set without CLOUD_BACKUP_ENABLED: no off-site copy is made.`);
  }
}

function warnOfSlips(env: Env, warn: (message: string) => void): void {
  for (const name of Object.keys(env)) {
    if (!/^(BACKUP|CLOUD)_/.test(name) || KNOWN.includes(name)) continue;
    const meant = closest(name, KNOWN);
    if (meant !== undefined) warn(`The environment variable ${printable(name)} is not known; did you mean ${meant}?`);
  }
}

function defined(settings: { [K in keyof EnvSettings]: EnvSettings[K] | undefined }): EnvSettings {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}
