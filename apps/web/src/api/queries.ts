import type {
  Backup,
  BackupPage,
  CleanupResult,
  Health,
  RestoreResult,
  Run,
  Stats,
  TreeListing,
} from '@foodsave-backup/contracts/types';
import {
  useInfiniteQuery,
  useQuery,
  useQueryClient,
  type InfiniteData,
  type UseInfiniteQueryResult,
  type UseQueryResult,
} from '@tanstack/react-query';
import { useFeedState } from '../live/live-context.tsx';
import { readJournal } from '../live/journal.ts';
import { applyJournal, applySnapshot, isFinished, type TrackedRun } from '../live/tracked-run.ts';
import { ApiError } from './client.ts';
import { api, type Configured, type RestoreChoice } from './endpoints.ts';
import { keys } from './keys.ts';

const POLL_MS = 5000;
/** Even beside a stream: it shows that the server still answers, and heals whatever an event failed to tell. */
const CONFIRM_MS = 20_000;

/** How often to ask: seldom while events stream in, every five seconds while they do not. */
function usePollInterval(): number {
  return useFeedState() === 'live' ? CONFIRM_MS : POLL_MS;
}

export function useBackups(): UseInfiniteQueryResult<InfiniteData<BackupPage>> {
  return useInfiniteQuery({
    queryKey: keys.backups,
    queryFn: ({ pageParam, signal }) => api.list(pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor,
    refetchInterval: usePollInterval(),
  });
}

export function useBackup(name: string): UseQueryResult<Backup> {
  return useQuery({
    queryKey: keys.backupNamed(name),
    queryFn: ({ signal }) => api.backup(name, signal),
    refetchInterval: usePollInterval(),
  });
}

export function useTree(name: string, path: string): UseQueryResult<TreeListing> {
  // A backup never changes.
  return useQuery({
    queryKey: keys.tree(name, path),
    queryFn: ({ signal }) => api.tree(name, path, signal),
    staleTime: Infinity,
  });
}

export function useRuns(): UseQueryResult<Run[]> {
  const client = useQueryClient();
  return useQuery({
    queryKey: keys.runs,
    queryFn: async ({ signal }) => {
      const requestedAt = Date.now();
      const { items } = await api.runs(signal);
      for (const run of items) {
        client.setQueryData<TrackedRun>(keys.run(run.id), (known) => applySnapshot(known, run, requestedAt));
      }
      return items;
    },
    refetchInterval: usePollInterval(),
  });
}

export function useRun(id: string): UseQueryResult<TrackedRun> {
  const client = useQueryClient();
  const interval = usePollInterval();
  return useQuery({
    queryKey: keys.run(id),
    queryFn: async ({ signal }): Promise<TrackedRun> => {
      const requestedAt = Date.now();
      const run = await api.run(id, signal);
      return applySnapshot(client.getQueryData<TrackedRun>(keys.run(id)), run, requestedAt);
    },
    refetchInterval: ({ state }) => (state.data !== undefined && isFinished(state.data.run.status) ? false : interval),
  });
}

/** Fills in what happened in a run before this page was opened: its warnings, its components. */
export function useJournal(id: string, enabled: boolean): void {
  const client = useQueryClient();
  useQuery({
    queryKey: keys.journal(id),
    queryFn: async ({ signal }) => {
      const events = await readJournal(id, signal);
      // All at once: one by one, old events would show the run going through its progress again.
      client.setQueryData<TrackedRun>(keys.run(id), (known) => applyJournal(known, events, Date.now()));
      return events.length;
    },
    enabled,
  });
}

export function useStats(): UseQueryResult<Stats | null> {
  return useQuery({ queryKey: keys.stats, queryFn: ({ signal }) => api.stats(signal) });
}

export function useHealth(): UseQueryResult<Health> {
  return useQuery({
    queryKey: keys.health,
    queryFn: ({ signal }) => api.health(signal),
    refetchInterval: usePollInterval() * 3,
  });
}

export function useComponents(): UseQueryResult<Configured[]> {
  return useQuery({ queryKey: keys.components, queryFn: ({ signal }) => api.components(signal), staleTime: 60_000 });
}

export function useRestorePreview(
  name: string,
  choice: RestoreChoice,
  enabled: boolean,
): UseQueryResult<RestoreResult> {
  return useQuery({
    queryKey: keys.preview(name, choice.components ?? [], choice.target),
    queryFn: ({ signal }) => api.previewRestore(name, choice, signal),
    enabled,
    // What was looked at before may have changed since: every look is a new one.
    gcTime: 0,
    staleTime: Infinity,
    retry: false,
  });
}

export function useCleanupPreview(enabled: boolean): UseQueryResult<CleanupResult> {
  return useQuery({
    queryKey: keys.cleanupPreview,
    queryFn: ({ signal }) => api.cleanup(true, signal),
    enabled,
    gcTime: 0,
    staleTime: Infinity,
    retry: false,
  });
}

/** The server does not answer: neither the stream nor the last question. */
export function useOffline(): boolean {
  const feed = useFeedState();
  const { error } = useBackups();
  const noAnswer = error instanceof ApiError && (error.status === 0 || error.status === 502 || error.status === 504);
  return feed !== 'live' && noAnswer;
}
