import type { RunEvent } from '@foodsave-backup/contracts/types';
import { useQueryClient, type QueryClient } from '@tanstack/react-query';
import { createContext, useContext, useEffect, useState, type ReactElement, type ReactNode } from 'react';
import { API } from '../api/client.ts';
import { keys } from '../api/keys.ts';
import { startFeed, type FeedState } from './live-feed.ts';
import { applyEvent, type TrackedRun } from './tracked-run.ts';

const LiveContext = createContext<FeedState>('connecting');

/** Writes one event into the cache, and asks again for what it changed. */
function receive(client: QueryClient, event: RunEvent, now: number): void {
  const key = keys.run(event.runId);
  client.setQueryData<TrackedRun>(key, (known) => applyEvent(known, event, now));
  if (event.type === 'run.started') void client.invalidateQueries({ queryKey: keys.runs });
  if (event.type === 'run.finished') {
    for (const queryKey of [keys.runs, keys.backups, keys.backup, keys.stats, keys.health]) {
      void client.invalidateQueries({ queryKey });
    }
  }
}

export function LiveProvider({ children }: { children: ReactNode }): ReactElement {
  const client = useQueryClient();
  const [state, setState] = useState<FeedState>('connecting');
  useEffect(
    () =>
      startFeed({
        url: `${API}/events`,
        onEvent: (event) => {
          receive(client, event, Date.now());
        },
        onState: setState,
        onConnected: () => {
          // Whatever happened while the stream was away was missed.
          void client.invalidateQueries();
        },
      }),
    [client],
  );
  return <LiveContext value={state}>{children}</LiveContext>;
}

export function useFeedState(): FeedState {
  return useContext(LiveContext);
}
