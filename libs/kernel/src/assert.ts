import { BackupError } from './errors.ts';

/** An internal invariant. A failure is a defect of this software, never of its input. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) {
    throw new BackupError('INTERNAL', `Invariant broken: ${message}`, {
      hint: 'This is a defect. Please report it with the output of --verbose.',
    });
  }
}

export function unreachable(value: never): never {
  throw new BackupError('INTERNAL', `Unexpected value: ${JSON.stringify(value)}`);
}
