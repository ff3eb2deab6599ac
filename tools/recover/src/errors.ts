export const EXIT = { ok: 0, failed: 1, usage: 2, noRepository: 10, wrongKey: 12 } as const;

/** Ends the command: what happened, what to do next, and the exit code. */
export class RecoverError extends Error {
  readonly exitCode: number;
  readonly hint: string;

  constructor(exitCode: number, message: string, hint: string) {
    super(message);
    this.name = 'RecoverError';
    this.exitCode = exitCode;
    this.hint = hint;
  }
}

/** Something in the repository is missing, damaged or not understood. The command goes on with the rest. */
export class Damage extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Damage';
  }
}

export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Turns an error of reading the repository into `Damage`; anything that is not one is thrown on. */
export function asDamage(error: unknown, what: string): Damage {
  if (error instanceof Damage) return error;
  const code = errorCode(error);
  if (code === 'ENOENT') return new Damage(`${what} is missing`);
  if (code !== undefined && /^E[A-Z0-9]+$/.test(code)) return new Damage(`${what} cannot be read (${code})`);
  throw error;
}
