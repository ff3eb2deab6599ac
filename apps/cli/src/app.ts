import { EXIT, runExitCode, type ExitCode } from '@foodsave-backup/contracts/codes';
import { deserializeError, newId, systemClock, type Clock } from '@foodsave-backup/kernel';
import type { Command, Engine, Run, RunView } from '@foodsave-backup/engine';
import type { ResolvedConfig } from '@foodsave-backup/runtime';
import type { Interrupts } from './interrupts.ts';
import type { GlobalOptions, Io } from './io.ts';
import type { RateOptions } from './options.ts';
import { Output, type Answer } from './output.ts';
import { EventPrinter } from './render/events.ts';

export interface Opened {
  engine: Engine;
  config: ResolvedConfig;
}

/** How the result of a run is shown; `T` is the shape of its result. */
export interface RunRendering<T> {
  /** The body as REST answers it, when it is not the result itself. */
  body?: (result: T) => unknown;
  human: (result: T, view: RunView) => (style: Output['style']) => string;
  notes?: (result: T) => readonly string[];
  exit?: (code: ExitCode) => ExitCode;
}

/** One invocation: what was asked for globally, where to write, and the engine once something needs it. */
export class App {
  readonly io: Io;
  readonly globals: GlobalOptions;
  readonly out: Output;
  readonly clock: Clock = systemClock;
  readonly interrupts: Interrupts;

  constructor(io: Io, globals: GlobalOptions, interrupts: Interrupts) {
    this.io = io;
    this.globals = globals;
    this.out = new Output(io, globals);
    this.interrupts = interrupts;
  }

  /** ms since the epoch. */
  now(): number {
    return this.clock.now();
  }

  /** Reads the configuration and opens the engine for `work`. `rates` take the place of what is configured. */
  async withEngine<T>(work: (opened: Opened) => Promise<T>, rates: RateOptions = {}): Promise<T> {
    const { loadConfig, openEngine, sizeThreadPool } = await import('@foodsave-backup/runtime');
    sizeThreadPool();
    const { io, globals, out } = this;
    const loaded = await loadConfig({
      configPath: globals.config,
      repository: globals.repository,
      env: io.env,
      cwd: io.cwd,
      warn: (message) => {
        out.warn(message);
      },
    });
    const config = limited(loaded, rates);
    out.detail(`Configuration: ${config.source}`);
    out.detail(`Repository: ${config.repositoryPath}`);
    const engine = openEngine(config, { env: io.env });
    try {
      return await work({ engine, config });
    } finally {
      await engine.close();
    }
  }

  /** Answers a question. */
  ask<T>(question: (engine: Engine) => Promise<T>, rendering: (answer: T) => Omit<Answer, 'asked'>): Promise<ExitCode> {
    return this.withEngine(async ({ engine }) =>
      this.out.answer({ ...rendering(await question(engine)), asked: true }),
    );
  }

  /** Carries out one command as a run in this process, showing its events. A run without a result throws its error. */
  async run(engine: Engine, command: Command): Promise<RunView> {
    const { Run } = await import('@foodsave-backup/runtime');
    const run = new Run(newId(this.clock), command, this.clock);
    let thrown: unknown;
    const stop = (signal: string): boolean => {
      if (run.done) return false;
      this.out.aside(`${signal}: stopping at the next safe place. Once more ends at once.`);
      run.cancel(`${signal} was received`);
      return true;
    };
    const shown = this.#show(run.events());
    await this.interrupts.stopping(stop, () =>
      run.execute(async (context) => {
        try {
          return await engine.execute(command, context);
        } catch (error) {
          thrown = error;
          throw error;
        }
      }),
    );
    await shown;
    const view = await run.finished;
    if (view.error !== undefined && view.result === undefined) {
      const error = deserializeError(view.error);
      // The stack that --verbose shows is that of the place where it went wrong.
      if (thrown !== undefined) error.cause = thrown;
      throw error;
    }
    return view;
  }

  /** Runs a command and shows its result. */
  async answerRun<T>(engine: Engine, command: Command, rendering: RunRendering<T>): Promise<ExitCode> {
    const view = await this.run(engine, command);
    const result = view.result as T;
    const code = runExitCode(view.status, view.error?.code);
    return this.out.answer({
      body: rendering.body === undefined ? result : rendering.body(result),
      human: rendering.human(result, view),
      notes: rendering.notes?.(result) ?? [],
      exit: rendering.exit === undefined ? code : rendering.exit(code),
      ...(view.error === undefined ? {} : { error: view.error }),
    });
  }

  async #show(events: ReturnType<Run['events']>): Promise<void> {
    const printer = new EventPrinter(this.out, this.clock, this.globals.progress === true);
    for await (const event of events) printer.print(event);
  }
}

/** A copy only where something changes: it asks for all that the configuration computes when it is asked for. */
function limited(config: ResolvedConfig, { limitRead, limitUpload }: RateOptions): ResolvedConfig {
  if (limitRead === undefined && limitUpload === undefined) return config;
  const limits = {
    ...config.limits,
    ...(limitRead === undefined ? {} : { read: limitRead }),
    ...(limitUpload === undefined ? {} : { upload: limitUpload }),
  };
  return { ...config, limits };
}

/** Runs one command, which answers with its exit code. */
export type Door = (work: (app: App) => Promise<number>) => Promise<void>;

/** Exit code of a question that was answered. */
export const ANSWERED = EXIT.done;
