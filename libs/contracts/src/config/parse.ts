import { plainToInstance } from '../validation.ts';
import type { ClassConstructor } from '../validation.ts';
import { getMetadataStorage, validateSync } from '../validation.ts';
import { componentSpecs } from './components.ts';
import type { ComponentSpec } from './components.ts';
import { MAX_ISSUES, cleanTree, isTree, issue } from './issues.ts';
import type { ConfigIssue, ConfigTree, ConfigValue } from './issues.ts';
import {
  CompressionConfig,
  CopyConfig,
  EncryptionConfig,
  LimitsConfig,
  LoggingConfig,
  ObjectLockConfig,
  RepositoryConfig,
  RetentionConfig,
  SchedulesConfig,
  ServerConfig,
  TopLevelConfig,
  VerifyConfig,
} from './sections.ts';
import { closest } from './suggest.ts';

/** backup.yaml, checked, with the defaults filled in. Paths are as written. */
export interface BackupConfig {
  readonly application: string;
  readonly repository: RepositoryConfig;
  readonly components: readonly ComponentSpec[];
  readonly copies: readonly CopyConfig[];
  readonly schedules: SchedulesConfig;
  readonly retention: RetentionConfig;
  readonly plugins: readonly string[];
  readonly encryption: EncryptionConfig;
  readonly compression: CompressionConfig;
  readonly limits: LimitsConfig;
  readonly verify: VerifyConfig;
  readonly server: ServerConfig;
  readonly logging: LoggingConfig;
}

export type ParsedConfig = { ok: true; config: BackupConfig } | { ok: false; issues: readonly ConfigIssue[] };

const SECTION_EXAMPLES: Readonly<Record<string, string>> = {
  application: 'application: foodsave',
  repository: 'repository: { type: local, path: ./backups }',
  components: 'components: { database: { driver: sqlite, path: ./data/app.db } }',
  copies: 'copies: [{ name: nas, type: sftp, url: "sftp://backup@nas/backups" }]',
  schedules: 'schedules: { backup: "0 2 * * *", timezone: Europe/Warsaw }',
  retention: 'retention: { daily: 7, weekly: 4, monthly: 12 }',
  plugins: 'plugins: [./backup/mail.js]',
  encryption: 'encryption: { enabled: true, keyFile: ./state/backup.key }',
  compression: 'compression: { level: 3 }',
  limits: 'limits: { threads: 2, read: 50 MB, upload: 10 MB }',
  verify: 'verify: { afterCreate: true, checksums: true }',
  server: 'server: { host: 127.0.0.1, port: 8000 }',
  logging: 'logging: { level: info, file: ./logs/app.log }',
};

/** The keys that backup.yaml may have at the top. */
export const CONFIG_KEYS: readonly string[] = Object.keys(SECTION_EXAMPLES);

/** Keys of the product that this version does not act on: refused, because silence would look like they worked. */
const UNSUPPORTED_KEYS: readonly string[] = ['hooks'];

/**
 * Checks what was read from backup.yaml (or given as an object) as a whole: every problem is found in one go, in the order
 * of the keys. Pure: reads no file and no environment.
 */
export function parseBackupConfig(value: unknown): ParsedConfig {
  const issues: ConfigIssue[] = [];
  const tree = cleanTree(value, issues);
  if (tree === undefined) return { ok: false, issues };
  if (!isTree(tree)) {
    return {
      ok: false,
      issues: [issue([], 'must be a mapping with keys such as components', 'application: foodsave')],
    };
  }
  refuseUnknown(tree, [...CONFIG_KEYS, ...UNSUPPORTED_KEYS], [], issues);
  for (const key of UNSUPPORTED_KEYS) {
    if (!isEmpty(tree[key])) issues.push(issue([key], 'is not supported by this version: take it out', example([])));
  }
  const top = section(TopLevelConfig, pick(tree, ['application', 'plugins']), [], issues);
  const of = <T extends object>(cls: ClassConstructor<T>, key: string): T =>
    section(cls, tree[key] ?? {}, [key], issues);
  const config: BackupConfig = {
    application: top.application,
    repository: section(RepositoryConfig, repositoryTree(tree['repository']), ['repository'], issues),
    components: componentSpecs(tree['components'], top.plugins.length > 0, issues),
    copies: copies(tree['copies'], issues),
    schedules: of(SchedulesConfig, 'schedules'),
    retention: of(RetentionConfig, 'retention'),
    plugins: top.plugins,
    encryption: of(EncryptionConfig, 'encryption'),
    compression: of(CompressionConfig, 'compression'),
    limits: of(LimitsConfig, 'limits'),
    verify: of(VerifyConfig, 'verify'),
    server: of(ServerConfig, 'server'),
    logging: of(LoggingConfig, 'logging'),
  };
  return issues.length > 0 ? { ok: false, issues: issues.slice(0, MAX_ISSUES) } : { ok: true, config };
}

/** `s3://…` and `sftp://…` addresses, any other text as a directory. */
export function parseRepositoryText(text: string): { type: string; path?: string; url?: string } {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  return scheme === undefined ? { type: 'local', path: text } : { type: scheme, url: text };
}

function repositoryTree(value: ConfigValue | undefined): ConfigValue {
  if (value === undefined || value === null) return { type: 'local', path: './backups' };
  if (typeof value === 'string') return { ...parseRepositoryText(value) };
  // Remote kinds have keys of their own; all that counts here is that they are recognised and refused as such.
  if (isTree(value) && (value['type'] === 's3' || value['type'] === 'sftp')) return pick(value, ['type', 'url']);
  return value;
}

function copies(value: ConfigValue | undefined, issues: ConfigIssue[]): CopyConfig[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > 20) {
    issues.push(issue(['copies'], 'must be a list of at most 20 copies', example(['copies'])));
    return [];
  }
  const names = new Set<string>();
  return value.map((item, i) => {
    const path = ['copies', i];
    const { objectLock, ...rest } = isTree(item) ? item : { objectLock: undefined };
    const copy = section(CopyConfig, isTree(item) ? rest : item, path, issues);
    if (objectLock !== undefined)
      copy.objectLock = section(ObjectLockConfig, objectLock, [...path, 'objectLock'], issues);
    if (names.has(copy.name))
      issues.push(issue([...path, 'name'], 'is the name of another copy too', '{ name: nas, … }'));
    names.add(copy.name);
    return copy;
  });
}

/** An instance of `cls` with what `value` says and the class's defaults for the rest; problems go to `issues`. */
function section<T extends object>(
  cls: ClassConstructor<T>,
  value: ConfigValue,
  path: readonly (string | number)[],
  issues: ConfigIssue[],
): T {
  if (!isTree(value)) {
    issues.push(issue(path, 'must be a mapping', example(path)));
    return new cls();
  }
  const known = propertiesOf(cls);
  refuseUnknown(value, known, path, issues);
  const instance = plainToInstance(cls, pick(value, known));
  const errors = validateSync(instance, { forbidUnknownValues: true });
  for (const error of errors) {
    const name = Object.keys(error.constraints ?? {})[0];
    const context = name === undefined ? undefined : (error.contexts?.[name] as { example?: string } | undefined);
    const reason = name === undefined ? 'is not valid' : (error.constraints?.[name] ?? 'is not valid');
    const missing = (instance as Record<string, unknown>)[error.property];
    const found =
      missing === undefined ? `is missing, it ${reason}` : missing === null ? `has no value, it ${reason}` : reason;
    issues.push(issue([...path, error.property], found, context?.example ?? example(path)));
  }
  // What failed may have any type: the caller goes on with the defaults, to find further problems.
  return errors.length > 0 ? new cls() : instance;
}

function refuseUnknown(
  tree: ConfigTree,
  known: readonly string[],
  path: readonly (string | number)[],
  issues: ConfigIssue[],
): void {
  for (const key of Object.keys(tree)) {
    if (known.includes(key)) continue;
    if (issues.length >= MAX_ISSUES) return;
    issues.push(issue([...path, key], 'is not a known key', example(path, key, known), closest(key, known)));
  }
}

function example(path: readonly (string | number)[], key?: string, known?: readonly string[]): string {
  const meant = path[0] ?? (key === undefined ? undefined : closest(key, known ?? []));
  return SECTION_EXAMPLES[String(meant)] ?? `the keys are ${CONFIG_KEYS.join(', ')}`;
}

function isEmpty(value: ConfigValue | undefined): boolean {
  return value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0);
}

function pick(tree: ConfigTree, keys: readonly string[]): ConfigTree {
  return Object.fromEntries(Object.entries(tree).filter(([key]) => keys.includes(key)));
}

/** Names of the properties that carry validation rules (decorators), in the order of their declaration. */
export function propertiesOf(cls: ClassConstructor<object>): string[] {
  const rules = getMetadataStorage().getTargetValidationMetadatas(cls, '', false, false);
  return [...new Set(rules.map((rule) => rule.propertyName))];
}
