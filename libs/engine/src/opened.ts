import { readdir } from 'node:fs/promises';
import { BackupError, toBackupError } from '@foodsave-backup/kernel';
import type { Component, ComponentContext } from '@foodsave-backup/component';
import {
  FOLDERS,
  NO_LEASE,
  Repository,
  type CodecOptions,
  type Lease,
  type LeaseRequest,
} from '@foodsave-backup/repository';
import type { ComponentSpec, EngineDeps } from './types.ts';

/** Opens the repository that exists; `meanwhile` as Repository.open has it. Throws REPOSITORY_NOT_FOUND, WRONG_KEY, … */
export async function openRepository(deps: EngineDeps, meanwhile?: () => void): Promise<Repository> {
  const info = await Repository.readInfo(deps.storage);
  const key = await deps.keys.load();
  // A generated key file may lie beside a repository that was made without encryption on purpose; only a key that someone
  // names contradicts it.
  const secret = info.encrypted || key?.named === true ? key?.secret : undefined;
  const known = deps.opened?.current;
  const same = known?.id === info.id && known.secret === secret;
  if (same && (await known.repository.isStillOpen())) return known.repository;
  const repository = await Repository.open(deps.storage, { clock: deps.clock, secret, info, meanwhile });
  if (deps.opened !== undefined) deps.opened.current = { id: info.id, secret, repository };
  return repository;
}

export interface MadeRepository {
  repository: Repository;
  /** Where the new key file is, when one was made. */
  keyLocation?: string;
}

/** Makes the repository. Throws REPOSITORY_EXISTS when there is something already. */
export async function makeRepository(deps: EngineDeps, encryption: boolean): Promise<MadeRepository> {
  // Before a key is made for it.
  const found = await whatIsThere(deps);
  if (found !== 'empty') throw notEmpty(deps, 'REPOSITORY_EXISTS', found);
  let secret: string | undefined;
  let keyLocation: string | undefined;
  const given = await deps.keys.load();
  if (!encryption) {
    if (given?.named === true) {
      throw new BackupError('CONFIG_INVALID', 'A key was given for a repository without encryption', {
        hint: 'Unset BACKUP_ENCRYPTION_KEY, or leave out --no-encryption.',
      });
    }
  } else if (given !== undefined) {
    secret = given.secret;
  } else {
    const made = await deps.keys.create();
    secret = made.secret;
    keyLocation = made.location;
  }
  const repository = await Repository.init(deps.storage, {
    clock: deps.clock,
    secret,
    keyLabel: 'first key',
    recoveryFiles: await deps.recoveryFiles(),
  });
  return { repository, ...(keyLocation === undefined ? {} : { keyLocation }) };
}

/** Folders that an interrupted `init` of ours, or a fresh file system, may have left in an otherwise empty directory. */
const OWN_FOLDERS = new Set<string>([...FOLDERS, 'keys', 'index', 'manifests', 'notes', 'locks', 'lost+found']);

/** A listing of objects shows no directories: those of someone else are looked for in the directory itself. */
export async function whatIsThere(deps: EngineDeps): Promise<'repository' | 'empty' | 'foreign'> {
  const found = await Repository.probe(deps.storage);
  if (found !== 'empty' || deps.directory === undefined) return found;
  const names = await readdir(deps.directory, { withFileTypes: true }).catch(() => []);
  return names.some((entry) => entry.isDirectory() && !OWN_FOLDERS.has(entry.name)) ? 'foreign' : 'empty';
}

function notEmpty(
  deps: EngineDeps,
  code: 'REPOSITORY_EXISTS' | 'REPOSITORY_NOT_FOUND',
  found: 'repository' | 'foreign',
): BackupError {
  const what = found === 'repository' ? 'is a repository already' : 'is not empty and holds no repository';
  return new BackupError(code, `${deps.storage.location} ${what}`, {
    hint: 'Choose an empty directory, or check the path. Nothing was written there.',
  });
}

/** How new blobs are hashed and compressed. */
export function codecOptions({ config }: EngineDeps): CodecOptions {
  return config.compressionLevel === undefined ? {} : { level: config.compressionLevel };
}

/** Opens the repository, or makes one where there is nothing yet. */
export async function openOrMake(
  deps: EngineDeps,
  encryption: boolean,
  meanwhile: () => void,
): Promise<MadeRepository & { made: boolean }> {
  const found = await whatIsThere(deps);
  if (found === 'repository') return { repository: await openRepository(deps, meanwhile), made: false };
  if (found === 'foreign') throw notEmpty(deps, 'REPOSITORY_NOT_FOUND', found);
  return { ...(await makeRepository(deps, encryption)), made: true };
}

/** Of whoever replaces live data, or settles what a replacement has left: beside it nobody captures or replaces any. */
export const LIVE_LEASE: Omit<LeaseRequest, 'waitMs'> = {
  purpose: 'restore-live',
  exclusive: false,
  conflicts: ['create', 'restore-live'],
};

/** Runs `work` while holding a lease. A reader goes on without one where there is no room for it: a full disk must not keep a restore from working. */
export async function withLease<T>(
  repository: Repository,
  request: Omit<LeaseRequest, 'waitMs'> & { waitMs?: number },
  work: (lease: Lease) => Promise<T>,
): Promise<T> {
  const lease = await repository.leases.acquire({ waitMs: 3000, ...request }).catch((error: unknown): Lease => {
    if (request.readOnly !== true || toBackupError(error).code !== 'NO_SPACE') throw error;
    return NO_LEASE;
  });
  try {
    return await work(lease);
  } finally {
    await lease.release();
  }
}

/** The configured instances that a list of instances and types names; all of them for no list. Throws COMPONENT_UNKNOWN. */
export function selectComponents(known: readonly string[], asked: readonly string[] | undefined): string[] {
  if (asked === undefined || asked.length === 0) return [...known];
  const selected = new Set<string>();
  for (const name of asked) {
    const matches = known.filter((instance) => instance === name || instance.split(':')[0] === name);
    if (matches.length === 0) {
      throw new BackupError('COMPONENT_UNKNOWN', `There is no component "${name.slice(0, 60)}"`, {
        hint: `Known: ${known.join(', ') || 'none'}. A type (database) means all of its instances.`,
      });
    }
    for (const match of matches) selected.add(match);
  }
  return known.filter((instance) => selected.has(instance));
}

export function openComponent(
  deps: EngineDeps,
  spec: ComponentSpec,
  scratchDir: string,
  encrypted: boolean,
  skipMissing = false,
): Component {
  const driver = deps.drivers.find((d) => d.type === spec.type && d.driver === spec.driver);
  if (driver === undefined) {
    const known = deps.drivers.filter((d) => d.type === spec.type).map((d) => d.driver);
    throw new BackupError('CONFIG_INVALID', `components.${spec.instance}: unknown driver "${spec.driver}"`, {
      hint:
        known.length === 0
          ? `No driver of type "${spec.type}" is installed.`
          : `Known for ${spec.type}: ${known.join(', ')}.`,
    });
  }
  const context: ComponentContext = {
    baseDir: deps.config.baseDir,
    scratchDir,
    clock: deps.clock,
    env: deps.env,
    encrypted,
    skipMissing,
  };
  return driver.open(spec.instance, spec.config, context);
}
