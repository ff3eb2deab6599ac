import type { ExitCode } from '@foodsave-backup/contracts/codes';
import { serializeError, type SerializedError } from '@foodsave-backup/kernel';
import { isTerminal, wantsColor, type GlobalOptions, type Io } from './io.ts';
import { errorBody, errorText, traceText } from './render/error.ts';
import { styleFor, type Style } from './render/style.ts';
import { visibleLines } from './render/text.ts';

/** What a command has to say in the end. */
export interface Answer {
  /** As REST answers it. */
  body: unknown;
  /** For people. */
  human: (style: Style) => string;
  exit: ExitCode;
  /** What a person should know beside the result. */
  notes?: readonly string[];
  /** The result is itself a failure: damage found. */
  error?: SerializedError;
  /** It is the answer to a question, which --quiet does not hide. */
  asked?: boolean;
}

export type OutputMode = 'human' | 'json' | 'lines';

const CLEAR_LINE = '\r\u001b[K';

/** Both streams of the process, and who may write what where. */
export class Output {
  readonly mode: OutputMode;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly style: Style;
  readonly errorStyle: Style;
  /** Whether stderr can show a line that changes. */
  readonly live: boolean;
  readonly #io: Io;
  #drawn = false;

  constructor(io: Io, globals: GlobalOptions) {
    this.#io = io;
    this.mode = globals.json !== true ? 'human' : globals.progress === true ? 'lines' : 'json';
    this.quiet = globals.quiet === true;
    this.verbose = globals.verbose === true;
    this.style = styleFor(wantsColor(io.stdout, io.env, globals.color));
    this.errorStyle = styleFor(wantsColor(io.stderr, io.env, globals.color));
    this.live = isTerminal(io.stderr, io.env);
  }

  /** Columns that a line on stderr may take. */
  get width(): number {
    const { columns } = this.#io.stderr;
    // Some pseudo terminals say 0: they do not know.
    return columns === undefined || columns < 20 ? 79 : columns - 1;
  }

  /** A line on stderr. */
  aside(text: string): void {
    this.settle();
    this.#io.stderr.write(`${text}\n`);
  }

  /** What --verbose adds. */
  detail(text: string): void {
    if (this.verbose && this.mode !== 'lines') this.aside(this.errorStyle.dim(text));
  }

  warn(message: string): void {
    this.aside(`${this.errorStyle.yellow('Warning:')} ${visibleLines(message)}`);
  }

  /** Draws the changing last line of the terminal. */
  draw(line: string): void {
    this.#io.stderr.write(CLEAR_LINE + line);
    this.#drawn = true;
  }

  /** Removes the changing line, if there is one. */
  settle(): void {
    if (!this.#drawn) return;
    this.#drawn = false;
    this.#io.stderr.write(CLEAR_LINE);
  }

  /** An event as a line of JSON. */
  jsonLine(value: unknown): void {
    this.#io.stdout.write(`${JSON.stringify(value)}\n`);
  }

  answer(answer: Answer): ExitCode {
    this.settle();
    const { body, exit, notes = [], error } = answer;
    const errorPart = error === undefined ? {} : { error: errorBody(error) };
    if (this.mode === 'lines') {
      this.jsonLine({
        type: 'result',
        exitCode: exit,
        result: body,
        ...(notes.length === 0 ? {} : { notes }),
        ...errorPart,
      });
      return exit;
    }
    if (this.mode === 'json') this.#io.stdout.write(`${JSON.stringify(body, null, 2)}\n`);
    else if (!this.quiet || answer.asked === true || error !== undefined) {
      this.#io.stdout.write(`${answer.human(this.style)}\n`);
    }
    for (const note of notes) this.aside(`${this.errorStyle.blue('Note:')} ${visibleLines(note)}`);
    if (error !== undefined) this.aside(errorText(error, this.errorStyle));
    return exit;
  }

  failure(thrown: unknown, exit: ExitCode): ExitCode {
    this.settle();
    const error = serializeError(thrown);
    if (this.mode === 'lines') this.jsonLine({ type: 'result', exitCode: exit, error: errorBody(error) });
    else if (this.mode === 'json') this.#io.stdout.write(`${JSON.stringify({ error: errorBody(error) }, null, 2)}\n`);
    else this.aside(errorText(error, this.errorStyle));
    if (this.verbose) this.aside(traceText(thrown, this.errorStyle));
    return exit;
  }
}
