import type { HttpResponse } from './messages.ts';

/** How long a client may take nothing of a download, in ms. */
export const DOWNLOAD_IDLE_MS = 60_000;

/**
 * Breaks the connection when no byte of what waits for the client was taken for `idleMs`; it may be twice as long until that is
 * noticed. A client that takes little by little goes on, and none is blamed while there is nothing to take: of long zeros an
 * archive has hardly a byte.
 */
export function endWhenUntaken(response: HttpResponse, idleMs: number): void {
  response.setTimeout(idleMs, () => {
    if (response.writableLength > 0) response.destroy();
  });
}
