import type { RunEvent } from '@foodsave-backup/kernel';
import type { RunManager } from '@foodsave-backup/runtime';

/** Events that wait for one slow reader. Beyond it the stream ends; the reader comes back and goes on where it was. */
const WAITING_MAX = 5000;

/** A place in the stream of all events: `<run id>:<seq>`. */
export interface Place {
  runId: string;
  seq: number;
}

export function placeOf(event: RunEvent): string {
  return `${event.runId}:${event.seq}`;
}

/** `undefined` for what no stream gave: such a reader gets what is new. */
export function parsePlace(text: string | undefined): Place | undefined {
  const match = /^([0-9a-z]{26}):(\d{1,15})$/.exec(text ?? '');
  return match?.[1] === undefined ? undefined : { runId: match[1], seq: Number(match[2]) };
}

/** Every event of every run after `after` (without it: from now on), until `signal` is aborted. */
export async function* allEvents(
  runs: RunManager,
  after: Place | undefined,
  signal: AbortSignal,
): AsyncGenerator<RunEvent> {
  const waiting: RunEvent[] = [];
  const state = { overflow: false, wake: (): void => undefined };
  // Before the journals are read, so that nothing falls between.
  const stop = runs.listen((event) => {
    if (waiting.length >= WAITING_MAX) state.overflow = true;
    else waiting.push(event);
    state.wake();
  });
  const onAbort = (): void => {
    state.wake();
  };
  signal.addEventListener('abort', onAbort);
  try {
    const seen = new Map<string, number>();
    for await (const event of after === undefined ? [] : journals(runs, after)) {
      seen.set(event.runId, event.seq);
      yield event;
    }
    while (!signal.aborted && !state.overflow) {
      const event = waiting.shift();
      if (event === undefined) {
        await new Promise<void>((resolve) => {
          state.wake = resolve;
        });
      } else if (event.seq > (seen.get(event.runId) ?? 0)) yield event;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    stop();
  }
}

/** What is in the journals after a place. The ids of runs sort by time. */
async function* journals(runs: RunManager, after: Place): AsyncGenerator<RunEvent> {
  const known = runs.list().reverse();
  for (const { id } of known) {
    if (id < after.runId) continue;
    yield* runs.get(id).events(id === after.runId ? after.seq : 0, AbortSignal.abort());
  }
}
