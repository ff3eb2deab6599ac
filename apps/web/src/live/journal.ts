import type { RunEvent } from '@foodsave-backup/contracts/types';
import { API, ApiError } from '../api/client.ts';

/** A stream that is silent for so long has told all that has happened so far. */
const QUIET_MS = 700;

/**
 * What has happened in a run so far: its stream read until it ends or falls silent. The rest comes over the stream of the tab,
 * so that no second connection stays open. Throws ApiError.
 */
export async function readJournal(id: string, signal: AbortSignal): Promise<RunEvent[]> {
  const quiet = new AbortController();
  const response = await fetch(`${API}/runs/${encodeURIComponent(id)}/events`, {
    headers: { Accept: 'text/event-stream' },
    signal: AbortSignal.any([signal, quiet.signal]),
  });
  if (!response.ok || response.body === null) throw new ApiError(response.status, {});
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const events: RunEvent[] = [];
  let text = '';
  try {
    for (;;) {
      const timer = setTimeout(() => {
        quiet.abort();
      }, QUIET_MS);
      const { done, value } = await reader.read().finally(() => {
        clearTimeout(timer);
      });
      if (done) break;
      const messages = (text + value).split('\n\n');
      text = messages.pop() ?? '';
      for (const message of messages) events.push(...parseMessage(message));
    }
  } catch (error) {
    if (!quiet.signal.aborted) throw error;
  }
  return events;
}

/** The event in one message of a stream; comments and settings hold none. */
export function parseMessage(message: string): RunEvent[] {
  const data = message
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(5).replace(/^ /, ''))
    .join('\n');
  return data === '' ? [] : [JSON.parse(data) as RunEvent];
}
