import { fork, type ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BackupError, deserializeError, toBackupError, type RunEvent } from '@foodsave-backup/kernel';
import type { Command, Execute, Run, RunContext, RunOutcome } from '@foodsave-backup/engine';
import { poolSize } from './threads.ts';

/** How the child finds the configuration that its parent uses. */
export interface ConfigSource {
  configPath?: string;
  repository?: string;
  cwd: string;
}

/** What the process of a run is started with. */
export interface ForkOptions {
  source: ConfigSource;
  /** As configured: UV_THREADPOOL_SIZE is sized for them, unless the environment gives it. */
  threads: number;
}

export interface ChildRequest {
  type: 'run';
  source: ConfigSource;
  command: Command;
}

export interface ChildMessage {
  type: 'event';
  event: RunEvent;
}

/** Where the child of an export finds the pipe for its archive. */
export const ARCHIVE_DESCRIPTOR = 4;

/** As bin/foodsave-backup has them, where each is explained. */
const HEAP = ['--max-semi-space-size=4', '--heap-growing-percent=70'];
const GLIBC = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '1048576' };

const CANCEL_GRACE_MS = 15_000;

/**
 * Carries out each run in a forked process, so that thread pool, event loop and SQLite's locks of the host stay its own. A child
 * that dies is an error of its run, never of the host; a child whose host dies ends by itself. It runs at a lower priority than
 * the host.
 */
export function forkedExecute(options: ForkOptions): Execute {
  return (run, context) => new ForkedRun(options, run, context).finished;
}

/**
 * The same for an export to ARCHIVE_DESCRIPTOR, whose archive goes into `out` as fast as that takes it. `out` ends only after
 * a whole archive; otherwise it is destroyed. Who closes it ends the run.
 */
export function forkedExport(options: ForkOptions, out: Writable): Execute {
  return async (run, context) => {
    const forked = new ForkedRun(options, run, context, true);
    const piped = pipeline(forked.archive, out, { end: false }).catch((error: unknown) => {
      if (!run.done) run.cancel('whoever took the archive has gone');
      return toBackupError(error, 'IO_ERROR');
    });
    // A client that takes nothing would keep the pipe full, and the child from ending.
    const onAbort = (): void => {
      out.destroy(toBackupError(context.signal.reason));
    };
    context.signal.addEventListener('abort', onAbort, { once: true });
    try {
      const outcome = await forked.finished;
      const failure = await piped;
      if (failure !== undefined) throw failure;
      out.end();
      return outcome;
    } catch (error) {
      out.destroy(toBackupError(error));
      throw error;
    } finally {
      context.signal.removeEventListener('abort', onAbort);
    }
  };
}

class ForkedRun {
  readonly finished: Promise<RunOutcome>;
  readonly #child: ChildProcess;

  /** `piped`: with a pipe for an archive. */
  constructor({ source, threads }: ForkOptions, run: Run, context: RunContext, piped = false) {
    const typescript = import.meta.url.endsWith('.ts');
    const entry = new URL(typescript ? './run-child/main.ts' : './run-child/main.js', import.meta.url);
    this.#child = fork(entry, {
      serialization: 'advanced',
      env: { UV_THREADPOOL_SIZE: poolSize(threads), ...GLIBC, ...process.env },
      execArgv: [...process.execArgv, ...HEAP],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...(piped ? (['pipe'] as const) : [])],
    });
    this.finished = this.#follow(context);
    const request: ChildRequest = { type: 'run', source, command: run.command };
    this.#child.send(request);
  }

  get archive(): Readable {
    return this.#child.stdio[ARCHIVE_DESCRIPTOR] as Readable;
  }

  #follow(context: RunContext): Promise<RunOutcome> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      let killer: NodeJS.Timeout | undefined;
      const onAbort = (): void => {
        child.kill('SIGTERM');
        killer = setTimeout(() => child.kill('SIGKILL'), CANCEL_GRACE_MS);
      };
      context.signal.addEventListener('abort', onAbort, { once: true });
      let outcome: (() => void) | undefined;
      child.on('message', (message: ChildMessage) => {
        const { event } = message;
        if (event.type === 'run.finished') outcome = () => settle(event, resolve, reject);
        else forward(event, context);
      });
      child.on('error', (error) => {
        reject(
          new BackupError('INTERNAL', `The process of the run could not be started: ${error.message}`, {
            cause: error,
          }),
        );
      });
      child.on('close', (code, signal) => {
        clearTimeout(killer);
        context.signal.removeEventListener('abort', onAbort);
        if (outcome !== undefined) {
          outcome();
          return;
        }
        const how = signal === null ? `with exit code ${code ?? -1}` : `by ${signal}`;
        reject(
          new BackupError('INTERRUPTED', `The process of the run was ended ${how} before it finished`, {
            hint: 'Check the memory of the machine and its logs, then start it again. Acknowledged backups are not affected.',
          }),
        );
      });
    });
  }
}

function forward(event: RunEvent, context: RunContext): void {
  const { runId: _runId, seq: _seq, at: _at, ...body } = event;
  if (body.type === 'progress') context.progress(body.progress);
  else if (body.type !== 'run.started') context.emit(body);
}

function settle(
  event: Extract<RunEvent, { type: 'run.finished' }>,
  resolve: (outcome: RunOutcome) => void,
  reject: (error: BackupError) => void,
): void {
  const { status, result, error } = event;
  if (result !== undefined && (status === 'succeeded' || status === 'partial' || status === 'failed')) {
    resolve({ status, result, ...(error === undefined ? {} : { error }) });
  } else
    reject(
      error === undefined ? new BackupError('INTERRUPTED', `The run ended as ${status}`) : deserializeError(error),
    );
}
