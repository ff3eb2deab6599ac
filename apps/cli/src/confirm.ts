import { createInterface } from 'node:readline';
import { BackupError } from '@foodsave-backup/kernel';
import type { Io } from './io.ts';

/** Whether someone is there to be asked: a keyboard, and a screen for the question. */
function canAsk(io: Pick<Io, 'stdin' | 'stderr'>): boolean {
  return io.stdin.isTTY === true && io.stderr.isTTY === true;
}

/**
 * Asks on stderr, so that stdout stays the result's. Only the word "yes" counts; anything else, the end of the input and
 * Ctrl-C throw CANCELLED.
 */
export async function confirm(io: Pick<Io, 'stdin' | 'stderr'>, question: string): Promise<void> {
  const reader = createInterface({ input: io.stdin, output: io.stderr, terminal: false });
  try {
    const answer = await new Promise<string | undefined>((resolve) => {
      reader.once('close', () => resolve(undefined));
      reader.question(`${question} Type "yes" to go on: `, resolve);
    });
    if (answer?.trim().toLowerCase() === 'yes') return;
  } finally {
    reader.close();
  }
  throw new BackupError('CANCELLED', 'Not confirmed: nothing was changed', {
    hint: 'Start it again and type "yes", or give --yes.',
  });
}

/** Throws CONFIRMATION_REQUIRED where nobody can be asked and --yes was not given. */
export function assertConfirmable(io: Pick<Io, 'stdin' | 'stderr'>, yes: boolean | undefined, what: string): void {
  if (yes === true || canAsk(io)) return;
  throw new BackupError('CONFIRMATION_REQUIRED', `${what}, and there is no terminal to ask on`, {
    hint: 'Look at it with --dry-run where there is one, then give --yes.',
  });
}
