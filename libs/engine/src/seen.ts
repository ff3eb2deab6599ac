import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupError, toBackupError } from '@foodsave-backup/kernel';
import type { Manifest, Repository } from '@foodsave-backup/repository';
import { openRepository, whatIsThere } from './opened.ts';
import type { Command, CreateResult, EngineDeps, RunContext, RunOutcome } from './types.ts';

/** The newest backup that this machine knows of in a repository. */
interface Seen {
  name: string;
  /** Ids sort by time. */
  id: string;
  createdAt: string;
}

const pathOf = ({ config }: EngineDeps, repositoryId: string): string =>
  join(config.stateDir, 'seen', `${repositoryId}.json`);

/**
 * Whether the storage went back in time: the newest backup that this machine knows of is gone, and no newer one took its place.
 * A sentence for people; nothing where all is well or nothing is known. Whoever writes to the storage can put back an older
 * state of it in which everything is consistent (FORMAT.md, section 12): only the owner's memory tells.
 */
export async function rolledBack(deps: EngineDeps, repository: Repository): Promise<string | undefined> {
  const seen = await load(deps, repository.info.id);
  if (seen === undefined || (await isThere(repository, seen))) return undefined;
  const newest = await newestOf(repository);
  if (newest !== undefined && newest.id >= seen.id) return undefined;
  const left = newest === undefined ? 'there is none' : `the newest is "${newest.name}" of ${newest.createdAt}`;
  return `This machine has seen the backup "${seen.name}" of ${seen.createdAt}, and it is gone: now ${left}. It was deleted elsewhere, or the storage was set back to an older state`;
}

/** One read where all is well; a damaged manifest is there, and is reported as damaged. */
async function isThere(repository: Repository, seen: Seen): Promise<boolean> {
  try {
    return (await repository.manifests.get(seen.name)).id === seen.id;
  } catch (error) {
    const { code } = toBackupError(error);
    if (code === 'MANIFEST_DAMAGED') return true;
    if (code === 'BACKUP_NOT_FOUND') return false;
    throw error;
  }
}

/** Remembers the newest backup that is there now; nothing when this machine has deleted the last one. */
async function remember(deps: EngineDeps, repository: Repository, made: Seen | undefined): Promise<void> {
  const path = pathOf(deps, repository.info.id);
  await mkdir(join(deps.config.stateDir, 'seen'), { recursive: true, mode: 0o700 });
  // Looked at again after writing: another run may have deleted or made one, and remembered that, in between.
  for (let last: string | undefined | null = null; ;) {
    const known = await load(deps, repository.info.id);
    const standing = known !== undefined && (await repository.manifests.holds(known)) ? known : undefined;
    const newest = await newestSince(repository, standing, made);
    if (newest?.id === last) return;
    if (newest === undefined) await rm(path, { force: true });
    else if (newest !== standing) await write(path, newest);
    last = newest?.id;
  }
}

/** Whole or not at all; after a power cut an older one is as good as none. */
async function write(path: string, { name, id, createdAt }: Seen): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  await writeFile(temporary, `${JSON.stringify({ name, id, createdAt }, null, 2)}\n`, { mode: 0o600 });
  await rename(temporary, path);
}

/** The newest backup, where `standing` was the newest that was known and is there, and `made` was just made. */
async function newestSince(
  repository: Repository,
  standing: Seen | undefined,
  made: Seen | undefined,
): Promise<Seen | undefined> {
  if (standing === undefined) return newestOf(repository);
  if (made !== undefined) return made.id > standing.id ? made : standing;
  for await (const manifest of repository.manifests.newestFirst())
    return manifest.id > standing.id ? manifest : standing;
  return standing;
}

/** By id, not by date: clocks go wrong. */
async function newestOf(repository: Repository): Promise<Manifest | undefined> {
  const { manifests } = await repository.manifests.list();
  return manifests.reduce<Manifest | undefined>((a, b) => (a === undefined || b.id > a.id ? b : a), undefined);
}

async function load(deps: EngineDeps, repositoryId: string): Promise<Seen | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(pathOf(deps, repositoryId), 'utf8'));
    if (typeof value !== 'object' || value === null) return undefined;
    const { name, id, createdAt } = value as Partial<Record<string, unknown>>;
    if (typeof name !== 'string' || typeof id !== 'string' || typeof createdAt !== 'string') return undefined;
    return { name, id, createdAt };
  } catch {
    // Lost or never written: all of the state directory but the key can be lost.
    return undefined;
  }
}

/** Commands after which the newest backup may be another one. */
const CHANGING: ReadonlySet<Command['command']> = new Set(['create', 'restore', 'undo', 'cleanup', 'delete']);

/**
 * Looks before a command whether the storage went back, and remembers after it what is newest. While the storage seems to have
 * gone back, only a new backup makes it forget: whoever just deletes more must not hide it.
 */
export async function watching(
  deps: EngineDeps,
  command: Command,
  context: RunContext,
  carryOut: () => Promise<RunOutcome>,
): Promise<RunOutcome> {
  if (!CHANGING.has(command.command)) return carryOut();
  const warning = await before(deps);
  if (warning !== undefined) context.emit({ type: 'warning', code: 'STORAGE_ROLLED_BACK', message: `${warning}.` });
  const outcome = await carryOut();
  if (warning !== undefined && command.command !== 'create') return outcome;
  try {
    if ((await whatIsThere(deps)) === 'repository')
      await remember(deps, await openRepository(deps), madeBy(command, outcome));
  } catch (error) {
    const message = `What is newest could not be remembered in ${deps.config.stateDir}: ${toBackupError(error).message}`;
    context.emit({ type: 'warning', code: 'STATE_NOT_WRITTEN', message });
  }
  return outcome;
}

function madeBy({ command }: Command, { result }: RunOutcome): Seen | undefined {
  return command === 'create' ? (result as CreateResult).backup : undefined;
}

/** A repository that is not there or does not open is the command's own matter. */
async function before(deps: EngineDeps): Promise<string | undefined> {
  try {
    if ((await whatIsThere(deps)) !== 'repository') return undefined;
    return await rolledBack(deps, await openRepository(deps));
  } catch (error) {
    if (error instanceof BackupError) return undefined;
    throw error;
  }
}
