import path from 'node:path';
import { parseBackupConfig, parseRepositoryText, pathProblem } from '@foodsave-backup/contracts';
import type { BackupConfig } from '@foodsave-backup/contracts';
import { ENV_KEYS, envText, readEnv } from './env.ts';
import type { EnvSettings } from './env.ts';
import { EMBEDDED_SOURCE } from './embedded.ts';
import { layoutProblems } from './paths.ts';
import { usualThreads } from '../threads.ts';
import { configInvalid } from './problems.ts';
import type { ConfigProblem } from './problems.ts';
import type { LoadConfigOptions, ResolvedConfig, ResolvedSchedules } from './resolved.ts';
import { findConfig } from './source.ts';
import type { RawConfig } from './source.ts';

export async function load(options: LoadConfigOptions): Promise<ResolvedConfig> {
  const raw = await findConfig(options);
  const file = parse(raw);
  const problems: ConfigProblem[] = [];
  const env = await readEnv(options.env, raw.baseDir, problems, options.warn);
  const repositoryPath = resolveRepository(file, raw, options, problems);
  if (problems.length > 0) throw configInvalid(undefined, problems);

  const config = resolve(file, env, raw, options, repositoryPath);
  await check(config, file, env, raw);
  if (!config.checksumVerification) {
    options.warn('Checksum verification is switched off: verification looks at sizes and presence only.');
  }
  return config.plugins.length === 0 ? config : withPlugins(config, raw);
}

async function withPlugins(config: ResolvedConfig, raw: RawConfig): Promise<ResolvedConfig> {
  const { loadPlugins } = await import('../plugins/load-plugins.ts');
  const customDrivers = await loadPlugins(config, { lineOf: (at) => raw.lineOf(at) });
  return Object.freeze({ ...config, customDrivers: Object.freeze(customDrivers) });
}

function parse(raw: RawConfig): BackupConfig {
  const parsed = parseBackupConfig(raw.value);
  if (!parsed.ok) {
    const problems = parsed.issues.map(({ path: at, ...issue }) => ({ ...issue, line: raw.lineOf(at) }));
    throw configInvalid(raw.source, problems);
  }
  if (parsed.config.copies.length > 0) {
    throw configInvalid(raw.source, [
      {
        key: 'copies',
        reason: 'asks for off-site copies, which are not supported by this version yet: no copy would be made',
        line: raw.lineOf(['copies']),
        hint: 'Take copies out of the file. Until then copy the repository directory with a tool of your own.',
      },
    ]);
  }
  return parsed.config;
}

/** Local directories only. `--repository` is relative to the working directory, the file's to the file. */
function resolveRepository(
  file: BackupConfig,
  raw: RawConfig,
  options: LoadConfigOptions,
  problems: ConfigProblem[],
): string {
  const given = options.repository;
  const key = given === undefined ? 'repository' : '--repository';
  const example = given === undefined ? 'repository: { type: local, path: ./backups }' : '--repository ./backups';
  const { type, path: written } = given === undefined ? file.repository : parseRepositoryText(given);
  const remote = type === 's3' || type === 'sftp';
  const reason = remote
    ? `of type ${type} is not supported by this version: local only`
    : type === 'local'
      ? pathProblem(written)
      : 'must be a directory, not an address';
  if (reason !== undefined || written === undefined) {
    const line = given === undefined ? raw.lineOf(['repository']) : undefined;
    problems.push({ key, reason: reason ?? 'must be a directory', example, line });
    return '';
  }
  return path.resolve(given === undefined ? raw.baseDir : options.cwd, written);
}

function resolve(
  file: BackupConfig,
  env: EnvSettings,
  raw: RawConfig,
  options: LoadConfigOptions,
  repositoryPath: string,
): ResolvedConfig {
  const at = (written: string): string => path.resolve(raw.baseDir, written);
  const stateDir = at(env.stateDir ?? './state');
  const overridden = Object.entries(ENV_KEYS).filter(([name]) => envText(options.env, name) !== undefined);
  return Object.freeze<ResolvedConfig>({
    source: raw.source,
    baseDir: raw.baseDir,
    application: file.application,
    repositoryPath,
    stateDir,
    components: Object.freeze([...file.components]),
    customDrivers: [],
    plugins: Object.freeze(file.plugins.map((plugin) => (/^\.{0,2}\//.test(plugin) ? at(plugin) : plugin))),
    encryptionEnabled: file.encryption.enabled,
    keyFile: file.encryption.keyFile === undefined ? path.join(stateDir, 'backup.key') : at(file.encryption.keyFile),
    encryptionKey: env.encryptionKey,
    compressionLevel: file.compression.level,
    limits: Object.freeze(limits(file)),
    retention: Object.freeze({
      daily: env.daily ?? file.retention.daily,
      weekly: env.weekly ?? file.retention.weekly,
      monthly: env.monthly ?? file.retention.monthly,
    }),
    get timezone(): string {
      return file.retention.timezone ?? this.schedules.timezone;
    },
    schedules: Object.freeze(schedules(file)),
    verifyAfterCreate: env.afterCreate ?? file.verify.afterCreate,
    checksumVerification: env.checksums ?? file.verify.checksums,
    server: Object.freeze({
      host: env.host ?? file.server.host,
      port: env.port ?? file.server.port,
      allowedHosts: Object.freeze([...file.server.allowedHosts]),
    }),
    logLevel: env.logLevel ?? file.logging.level,
    logFile: at(file.logging.file),
    overriddenByEnv: Object.freeze([...new Set(overridden.map(([, key]) => key))]),
  });
}

function limits({ limits: { threads, read, upload } }: BackupConfig): ResolvedConfig['limits'] {
  return {
    threads: threads ?? usualThreads(),
    ...(read === undefined ? {} : { read }),
    ...(upload === undefined ? {} : { upload }),
  };
}

function schedules(file: BackupConfig): ResolvedSchedules {
  const { backup, cleanup, verify, drill } = file.schedules;
  return {
    ...(typeof backup === 'string' && { backup }),
    ...(typeof cleanup === 'string' && { cleanup }),
    ...(typeof verify === 'string' && { verify }),
    ...(typeof drill === 'string' && { drill }),
    // Asked for when it is needed: the first use of Intl in a process takes tens of ms.
    get timezone(): string {
      return file.schedules.timezone ?? (new Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC');
    },
  };
}

/** What only shows when file and environment are taken together. */
async function check(config: ResolvedConfig, file: BackupConfig, env: EnvSettings, raw: RawConfig): Promise<void> {
  const problems: ConfigProblem[] = [];
  const { daily, weekly, monthly } = config.retention;
  if (daily + weekly + monthly === 0) {
    problems.push({
      key: 'retention',
      reason: 'turns every tier off, so that no backup would have a reason to stay',
      example: 'retention: { daily: 7, weekly: 4, monthly: 12 }',
      line: raw.lineOf(['retention']),
    });
  }
  if (!config.encryptionEnabled) {
    const hint = 'Take the key away, or set encryption.enabled to true.';
    const reason = 'gives a key, but encryption.enabled is false';
    if (env.encryptionKey !== undefined) problems.push({ key: keyVariable(env), reason, hint });
    if (file.encryption.keyFile !== undefined) {
      problems.push({ key: 'encryption.keyFile', reason, hint, line: raw.lineOf(['encryption', 'keyFile']) });
    }
  }
  const { baseDir, repositoryPath, stateDir, logFile, components } = config;
  const keyFiles = config.encryptionEnabled ? [config.keyFile] : [];
  if (env.encryptionKeyPath !== undefined) keyFiles.push(env.encryptionKeyPath);
  problems.push(...(await layoutProblems({ baseDir, repositoryPath, stateDir, keyFiles, logFile, components })));
  if (problems.length > 0) throw configInvalid(raw.source === EMBEDDED_SOURCE ? undefined : raw.source, problems);
}

function keyVariable(env: EnvSettings): string {
  return env.encryptionKeyPath === undefined ? 'BACKUP_ENCRYPTION_KEY' : 'BACKUP_ENCRYPTION_KEY_FILE';
}
