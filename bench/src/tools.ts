import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Command } from './measure.ts';

/** One program under measurement, over one repository and one directory of data. */
export interface Tool {
  readonly name: string;
  readonly version: string;
  init(): Command[];
  /** `verify`: whatever proves after the backup that it can be read; for the peers a check of everything. */
  backup(label: string): Command[];
  backupAndVerify(label: string): Command[];
  restore(label: string, target: string): Command[];
  check(): Command[];
  /** The structure only: reads no data. */
  checkWithoutData(): Command[];
  /** Keeps the newest `count` backups and frees the space of the others. */
  keep(count: number, all: readonly string[]): Command[];
  list(): Command[];
  readonly repository: string;
}

/** Ours, and what opens its repository in this process. */
export interface OurTool extends Tool {
  /** Path of its backup.yaml. */
  readonly config: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface Place {
  /** A directory of this tool's own. */
  home: string;
  /** The data that is backed up: `<source>/data`. */
  source: string;
  /** Root of this project. */
  root: string;
}

const SECRET = 'a-password-for-measurements';

function versionOf(argv: readonly [string, ...string[]]): string | undefined {
  const { status, stdout } = spawnSync(argv[0], argv.slice(1), { encoding: 'utf8' });
  return status === 0 ? (/\d+(\.\d+)+/.exec(stdout)?.[0] ?? 'unknown') : undefined;
}

export function ours({ home, source, root }: Place, components: string): OurTool {
  const program = join(root, 'bin', 'foodsave-backup');
  const repository = join(home, 'repository');
  const config = join(source, `${basename(home)}.yaml`);
  writeFileSync(
    config,
    `application: bench\nrepository: { type: local, path: ${JSON.stringify(repository)} }\n${components}`,
  );
  const env = { BACKUP_STATE_DIR: join(home, 'state'), BACKUP_CONFIG: config };
  const run = (...args: string[]): Command => ({ argv: [program, '--quiet', ...args], env, cwd: source });
  return {
    name: 'foodsave-backup',
    version: versionOf([program, '--version']) ?? 'unknown',
    repository,
    config,
    env,
    init: () => [run('init')],
    backup: (label) => [run('create', '--name', label, '--no-verify')],
    backupAndVerify: (label) => [run('create', '--name', label)],
    restore: (label, target) => [run('restore', label, '--target', target)],
    check: () => [run('check', '--read-data')],
    checkWithoutData: () => [run('check')],
    // Retention goes by calendar days, so that backups of one hour are taken away by name.
    keep: (count, all) => {
      const old = all.slice(0, Math.max(0, all.length - count));
      return old.length === 0 ? [] : [run('delete', ...old, '--yes')];
    },
    // As many as it gives at once; like the others, it looks at all for that.
    list: () => [run('list', '--limit', '500')],
  };
}

export function restic({ home, source }: Place): Tool | undefined {
  const version = versionOf(['restic', 'version']);
  if (version === undefined) return undefined;
  const repository = join(home, 'repository');
  const env = { RESTIC_REPOSITORY: repository, RESTIC_PASSWORD: SECRET, RESTIC_CACHE_DIR: join(home, 'cache') };
  const run = (...args: string[]): Command => ({ argv: ['restic', '--quiet', ...args], env, cwd: source });
  return {
    name: 'restic',
    version,
    repository,
    init: () => [run('init')],
    backup: (label) => [run('backup', '--tag', label, 'data')],
    backupAndVerify: (label) => [run('backup', '--tag', label, 'data'), run('check', '--read-data')],
    restore: (label, target) => [run('restore', 'latest', '--tag', label, '--target', target)],
    check: () => [run('check', '--read-data')],
    checkWithoutData: () => [run('check')],
    // Each has a tag of its own, and restic groups by tags only when told to.
    keep: (count) => [run('forget', '--group-by', 'paths', '--keep-last', String(count), '--prune')],
    list: () => [run('snapshots')],
  };
}

export function borg({ home, source }: Place): Tool | undefined {
  const version = versionOf(['borg', '--version']);
  if (version === undefined) return undefined;
  const repository = join(home, 'repository');
  const env = {
    BORG_REPO: repository,
    BORG_PASSPHRASE: SECRET,
    BORG_BASE_DIR: join(home, 'base'),
    BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
  };
  const run = (...args: string[]): Command => ({ argv: ['borg', ...args], env, cwd: source });
  return {
    name: 'borg',
    version,
    repository,
    init: () => [run('init', '--encryption', 'repokey')],
    backup: (label) => [run('create', '--compression', 'zstd', `::${label}`, 'data')],
    backupAndVerify: (label) => [
      run('create', '--compression', 'zstd', `::${label}`, 'data'),
      run('check', '--verify-data'),
    ],
    restore: (label, target) => {
      mkdirSync(target, { recursive: true });
      return [{ ...run('extract', `::${label}`), cwd: target }];
    },
    check: () => [run('check', '--verify-data')],
    checkWithoutData: () => [run('check')],
    keep: (count) => [run('prune', '--keep-last', String(count)), run('compact')],
    list: () => [run('list')],
  };
}
