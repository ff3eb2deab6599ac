import { newId, unreachable } from '@foodsave-backup/kernel';
import { Repository, type LeaseView } from '@foodsave-backup/repository';
import { check } from './check.ts';
import { cleanup, deleteBackup } from './cleanup.ts';
import { create } from './create.ts';
import { health } from './health.ts';
import { holdBackup, type HoldRequest } from './hold.ts';
import { EngineKeys } from './keys.ts';
import { LIVE_LEASE, makeRepository, openRepository, withLease } from './opened.ts';
import { withUploadsPaced } from './paced.ts';
import { listBackups, listTree, showBackup, stats } from './queries.ts';
import { recoverInterrupted } from './recover.ts';
import { repair } from './repair.ts';
import { restore } from './restore.ts';
import type {
  BackupPage,
  BackupView,
  Command,
  EngineDeps,
  HealthView,
  ListQuery,
  RunContext,
  RunOutcome,
  StatsView,
  TreeListing,
} from './types.ts';
import { watching } from './seen.ts';
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
    return withUploadsPaced(this.#deps, context, (deps) =>
      watching(deps, command, context, () => this.#carryOut(deps, command, context)),
    );
  }

  async #carryOut(deps: EngineDeps, command: Command, context: RunContext): Promise<RunOutcome> {
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
        return check(deps, command, context);
      case 'repair':
        return repair(deps, command, context);
      case 'cleanup':
        return cleanup(deps, command, context);
      case 'delete':
        return deleteBackup(deps, command, context);
      case 'undo':
        return undo(deps, command, context);
      // The libraries for archives are loaded by who needs them: no other command waits for that.
      case 'export':
        return (await import('./export.ts')).exportBackup(deps, command, context);
      case 'import':
        return (await import('./import.ts')).importBackup(deps, command, context);
      default:
        return unreachable(command);
    }
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
    await withLease(repository, LIVE_LEASE, (lease) =>
      recoverInterrupted({ deps, context, repository, leaseId: lease.id }),
    );
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
