/** What of the process the command line uses, so that its parts can be tried without one. */
export interface Io {
  /** Words after the program's name. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  readonly cwd: string;
  readonly stdin: NodeJS.ReadableStream & { isTTY?: boolean };
  readonly stdout: OutStream;
  readonly stderr: OutStream;
}

export type OutStream = NodeJS.WritableStream & { isTTY?: boolean; columns?: number };

/** Options that every command takes, before or after its name. */
export interface GlobalOptions {
  config?: string;
  repository?: string;
  json?: boolean;
  progress?: boolean;
  quiet?: boolean;
  verbose?: boolean;
  /** `false` for `--no-color`. */
  color: boolean;
}

/** A terminal on which a line can be drawn again. */
export function isTerminal(stream: OutStream, env: Io['env']): boolean {
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}

/** Colours: on terminals, unless `--no-color` or NO_COLOR (https://no-color.org: any value but the empty one) says otherwise. */
export function wantsColor(stream: OutStream, env: Io['env'], asked: boolean): boolean {
  return asked && isTerminal(stream, env) && (env['NO_COLOR'] ?? '') === '';
}
