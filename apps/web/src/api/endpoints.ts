import type {
  Backup,
  BackupPage,
  CleanupResult,
  ComponentSpec,
  CreateRequest,
  Health,
  RestoreRequest,
  RestoreResult,
  Run,
  RunPage,
  Stats,
  TreeListing,
  VerifyRequest,
} from '@foodsave-backup/contracts/types';
import { API, ApiError, newIdempotencyKey, request } from './client.ts';

const at = (name: string): string => encodeURIComponent(name);

/** Where all of a backup is given out as an archive, for a link. */
export const archiveAddress = (name: string, format: 'zip' | 'tar.gz'): string =>
  `${API}/backups/${at(name)}/download?format=${format}`;

function isUnmade(error: unknown): boolean {
  return error instanceof ApiError && error.problem.code === 'REPOSITORY_NOT_FOUND';
}

/** One function an endpoint; each throws ApiError. Those that start something answer with its run, at once. */
export const api = {
  /** A repository that does not exist yet holds no backups: the first one makes it. */
  list: async (cursor: string | undefined, signal: AbortSignal): Promise<BackupPage> => {
    try {
      return (await request('GET', '/list', { query: { limit: 50, cursor }, signal })) as BackupPage;
    } catch (error) {
      if (isUnmade(error)) return { items: [], total: 0 };
      throw error;
    }
  },

  backup: async (name: string, signal: AbortSignal): Promise<Backup> =>
    (await request('GET', `/backups/${at(name)}`, { signal })) as Backup,

  tree: async (name: string, path: string, signal: AbortSignal): Promise<TreeListing> =>
    (await request('GET', `/backups/${at(name)}/tree`, {
      query: { path: path === '' ? undefined : path },
      signal,
    })) as TreeListing,

  runs: async (signal: AbortSignal): Promise<RunPage> =>
    (await request('GET', '/runs', { query: { limit: 20 }, signal })) as RunPage,

  run: async (id: string, signal: AbortSignal): Promise<Run> =>
    (await request('GET', `/runs/${at(id)}`, { signal })) as Run,

  /** `null` while there is no repository. */
  stats: async (signal: AbortSignal): Promise<Stats | null> => {
    try {
      return (await request('GET', '/stats', { signal })) as Stats;
    } catch (error) {
      if (isUnmade(error)) return null;
      throw error;
    }
  },

  /** 503 is an answer too: it says what is down. */
  health: async (signal: AbortSignal): Promise<Health> =>
    (await request('GET', '/health', { signal, accept: [503] })) as Health,

  components: async (signal: AbortSignal): Promise<Configured[]> =>
    ((await request('GET', '/components', { signal })) as { items: Configured[] }).items,

  create: async (parameters: Omit<CreateRequest, 'wait'>): Promise<Run> =>
    (await request('POST', '/create', {
      query: { wait: false },
      body: parameters,
      idempotencyKey: newIdempotencyKey(),
    })) as Run,

  verify: async (name: string, level: VerifyRequest['level']): Promise<Run> =>
    (await request('POST', `/verify/${at(name)}`, {
      query: { level, wait: false },
      idempotencyKey: newIdempotencyKey(),
    })) as Run,

  previewRestore: async (name: string, parameters: RestoreChoice, signal: AbortSignal): Promise<RestoreResult> =>
    (await request('POST', `/restore/${at(name)}`, {
      body: { ...parameters, dry_run: true },
      signal,
    })) as RestoreResult,

  restore: async (name: string, parameters: RestoreChoice): Promise<Run> =>
    (await request('POST', `/restore/${at(name)}`, {
      body: { ...parameters, wait: false },
      idempotencyKey: newIdempotencyKey(),
    })) as Run,

  undo: async (): Promise<Run> =>
    (await request('POST', '/undo', { query: { wait: false }, idempotencyKey: newIdempotencyKey() })) as Run,

  cancel: async (id: string): Promise<void> => {
    await request('DELETE', `/runs/${at(id)}`);
  },

  remove: async (name: string): Promise<void> => {
    await request('DELETE', `/backups/${at(name)}`);
  },

  cleanup: async (dryRun: boolean, signal?: AbortSignal): Promise<CleanupResult> =>
    (await request('DELETE', '/cleanup', {
      query: { dry_run: dryRun },
      ...(signal === undefined ? {} : { signal }),
    })) as CleanupResult,
};

/** What is needed here of a configured component. */
export type Configured = Pick<ComponentSpec, 'instance' | 'type'>;

export type RestoreChoice = Pick<RestoreRequest, 'components' | 'target'>;
