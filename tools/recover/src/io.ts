/** Where a run of the program gets its input from and writes to. */
export interface Io {
  /** What was asked for. */
  readonly out: (text: string) => void;
  /** Notes, warnings, errors. */
  readonly err: (text: string) => void;
  /** A line that replaces itself; absent where there is no terminal. */
  readonly progress: ((text: string) => void) | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** The directory that recover.mjs lies in. */
  readonly home: string;
  /** Asks for the key without showing it; absent where there is no terminal. */
  readonly ask: (() => Promise<string>) | undefined;
}

export interface Options {
  readonly directory: string;
  readonly keyFile: string | undefined;
  readonly json: boolean;
  readonly keepSetuid: boolean;
}
