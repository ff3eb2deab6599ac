import { BackupError, newId, unreachable } from '@foodsave-backup/kernel';
import { checkRepository, Repository, type CheckReport, type LeaseView } from '@foodsave-backup/repository';
import { cleanup, deleteBackup } from './cleanup.ts';
import { create } from './create.ts';
import { health } from './health.ts';
import { holdBackup, type HoldRequest } from './hold.ts';
import { EngineKeys } from './keys.ts';
import { makeRepository, openRepository, withLease } from './opened.ts';
import { listBackups, listTree, showBackup, stats } from './queries.ts';
import { recoverInterrupted } from './recover.ts';
import { restore } from './restore.ts';
import {
  CHECKSUMS_OFF,
  type BackupPage,
  type BackupView,
  type CheckView,
  type Command,
  type EngineDeps,
  type HealthView,
  type ListQuery,
  type RunContext,
  type RunOutcome,
  type StatsView,
  type TreeListing,
} from './types.ts';
import { rolledBack, watching } from './seen.ts';
import { undo } from './undo.ts';
import { listLeases, unlock, type UnlockResult } from './unlock.ts';
import { verify } from './verify.ts';

/** What every door (REST, CLI, scheduler) uses: commands that become runs, and questions that do not. */
export class Engine {
  readonly keys: EngineKeys;
  readonly #deps: EngineDeps;

  constructor(deps: EngineDeps) {
    this.#deps = { ...deps, opened: {} };
    this.keys = new EngineKeys(this.#deps);
  }

  /** Carries out one command in this process. Throws a BackupError. */
  execute(command: Command, context: RunContext): Promise<RunOutcome> {
    return watching(this.#deps, command, context, () => this.#carryOut(command, context));
  }

  async #carryOut(command: Command, context: RunContext): Promise<RunOutcome> {
    const deps = this.#deps;
    switch (command.command) {
      case 'init': {
        const { repository, keyLocation } = await makeRepository(deps, command.encryption ?? deps.config.encryption);
        const { id, encrypted } = repository.info;
        const result = {
          id,
          encrypted,
          location: deps.storage.location,
          ...(keyLocation === undefined ? {} : { keyLocation }),
        };
        return { status: 'succeeded', result };
      }
      case 'create':
        return create(deps, command, context);
      case 'restore':
        return restore(deps, command, context);
      case 'verify':
        return verify(deps, command, context);
      case 'check':
        return this.#check(command, context);
      case 'cleanup':
        return cleanup(deps, command, context);
      case 'delete':
        return deleteBackup(deps, command, context);
      case 'undo':
        return undo(deps, command, context);
      default:
        return unreachable(command);
    }
  }

  async #check(command: Extract<Command, { command: 'check' }>, context: RunContext): Promise<RunOutcome> {
    const repository = await openRepository(this.#deps);
    return withLease(repository, { purpose: 'check', exclusive: false, readOnly: true }, async () => {
      const { checksums } = this.#deps.config;
      const report = await checkRepository(repository, {
        readData: command.readData && checksums,
        ...(command.subset === undefined ? {} : { subset: command.subset }),
        progress: (doneBytes, totalBytes) => {
          context.progress({ phase: 'check', doneBytes, totalBytes, doneFiles: 0 });
        },
        signal: context.signal,
      });
      const gone = await rolledBack(this.#deps, repository);
      if (gone !== undefined) {
        const remedy = 'Look for the missing backup in a copy of the repository.';
        report.damaged.push({ kind: 'repository', what: 'newest backup', reason: `${gone}.`, remedy });
        report.status = 'damaged';
      }
      const notes = [...report.notes, ...(command.readData && !checksums ? [CHECKSUMS_OFF] : [])];
      const result: CheckView = { ...report, notes };
      if (result.status === 'ok') return { status: 'succeeded', result };
      const error = new BackupError('DATA_DAMAGED', damageText(report), {
        hint: 'Backups that are not named are good. Take a new backup now; docs/troubleshooting.md says what to do then.',
      });
      return { status: 'failed', result, error: error.toJSON() };
    });
  }

  /**
   * Settles a live restore that was killed, before anyone relies on what it left: a server does this when it starts. What was
   * done, one sentence each; nothing while there is no repository. Throws LOCKED while a restore runs elsewhere.
   */
  async recover(signal: AbortSignal): Promise<string[]> {
    const deps = this.#deps;
    if ((await Repository.probe(deps.storage)) !== 'repository') return [];
    const done: string[] = [];
    const context: RunContext = {
      runId: newId(deps.clock),
      signal,
      progress: () => undefined,
      emit: (event) => {
        if (event.type === 'warning') done.push(event.message);
      },
    };
    const repository = await openRepository(deps);
    const request = { purpose: 'restore-live', exclusive: false, conflicts: ['create', 'restore-live'] };
    await withLease(repository, request, (lease) => recoverInterrupted(deps, context, repository, lease.id));
    return done;
  }

  /** Newest first. */
  list(query: ListQuery = {}): Promise<BackupPage> {
    return listBackups(this.#deps, query);
  }

  show(name: string): Promise<BackupView> {
    return showBackup(this.#deps, name);
  }

  /** Pins a backup against retention and deletion, or lets go of it; answers the backup as it is then. */
  hold(name: string, request: HoldRequest): Promise<BackupView> {
    return holdBackup(this.#deps, name, request);
  }

  /** Who holds the repository, oldest first. Needs no key. */
  leases(): Promise<LeaseView[]> {
    return listLeases(this.#deps);
  }

  /** Removes leases that nobody holds any more, and those of others that are named by id. Needs no key. */
  unlock(force: readonly string[] = []): Promise<UnlockResult> {
    return unlock(this.#deps, force);
  }

  /** One directory of a backup. `path`: layout path, `''` for the top. */
  tree(name: string, path: string, component?: string): Promise<TreeListing> {
    return listTree(this.#deps, name, path, component);
  }

  stats(): Promise<StatsView> {
    return stats(this.#deps);
  }

  health(): Promise<HealthView> {
    return health(this.#deps);
  }

  async close(): Promise<void> {
    await this.#deps.storage.close();
  }
}

function damageText({ damaged, affected }: CheckReport): string {
  const places = damaged.length === 1 ? 'one place' : `${damaged.length} places`;
  const what = `The repository is damaged in ${places}`;
  const { backups, fileCount } = affected;
  if (backups.length === 0) return `${what}; every backup can still be restored whole`;
  const files = fileCount === 1 ? 'one file' : `${fileCount} files`;
  return `${what}; ${files} in ${backups.length === 1 ? 'one backup' : `${backups.length} backups`} cannot be restored whole`;
}
