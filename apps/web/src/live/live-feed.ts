import type { RunEvent } from '@foodsave-backup/contracts/types';

/** `paused`: the tab is hidden. `down`: the stream is cut; it is tried again by itself. */
export type FeedState = 'connecting' | 'live' | 'down' | 'paused';

export interface FeedOptions {
  url: string;
  onEvent: (event: RunEvent) => void;
  onState: (state: FeedState) => void;
  /** The stream stands, and events before it may have been missed. */
  onConnected: () => void;
}

const RETRY_MS = 3000;

function parseEvent(data: unknown): RunEvent | undefined {
  if (typeof data !== 'string') return undefined;
  try {
    const event = JSON.parse(data) as Partial<RunEvent> | null;
    const whole = typeof event?.runId === 'string' && typeof event.seq === 'number' && typeof event.type === 'string';
    return whole ? (event as RunEvent) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The one stream of events of this tab. It is closed while the tab is hidden, because browsers grant a server six connections
 * over all tabs. Call the returned function to end it.
 */
export function startFeed({ url, onEvent, onState, onConnected }: FeedOptions): () => void {
  let source: EventSource | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;

  const close = (): void => {
    clearTimeout(retry);
    source?.close();
    source = undefined;
  };
  const open = (): void => {
    close();
    const stream = new EventSource(url);
    source = stream;
    const receive = (message: MessageEvent): void => {
      const event = parseEvent(message.data);
      if (event !== undefined) onEvent(event);
    };
    stream.onopen = () => {
      onState('live');
      onConnected();
    };
    stream.onmessage = receive;
    stream.onerror = () => {
      onState('down');
      // The browser gives up for good after an answer that is no stream; a cut one it would retry by itself.
      close();
      retry = setTimeout(open, RETRY_MS);
    };
  };
  const visibilityChanged = (): void => {
    if (document.hidden) {
      close();
      onState('paused');
    } else {
      onState('connecting');
      open();
    }
  };

  document.addEventListener('visibilitychange', visibilityChanged);
  visibilityChanged();
  return () => {
    document.removeEventListener('visibilitychange', visibilityChanged);
    close();
  };
}
