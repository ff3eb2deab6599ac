import { BackupError } from './errors.ts';

/** Throws CANCELLED when the signal has fired; its reason is kept as the cause unless it is a BackupError itself. */
export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  if (signal.reason instanceof BackupError) throw signal.reason;
  throw new BackupError('CANCELLED', 'The operation was cancelled', { cause: signal.reason });
}
