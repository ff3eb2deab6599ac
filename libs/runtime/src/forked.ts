import { fork, type ChildProcess } from 'node:child_process';
import { BackupError, deserializeError, type RunEvent } from '@foodsave-backup/kernel';
import type { Command, Execute, Run, RunContext, RunOutcome } from '@foodsave-backup/engine';

/** How the child finds the configuration that its parent uses. */
export interface ConfigSource {
  configPath?: string;
  repository?: string;
  cwd: string;
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

const CANCEL_GRACE_MS = 15_000;

/**
 * Carries out each run in a forked process, so that thread pool, event loop and SQLite's locks of the host stay its own. A child
 * that dies is an error of its run, never of the host; a child whose host dies ends by itself.
 */
export function forkedExecute(source: ConfigSource): Execute {
  return (run, context) => new ForkedRun(source, run, context).finished;
}

class ForkedRun {
  readonly finished: Promise<RunOutcome>;
  readonly #child: ChildProcess;

  constructor(source: ConfigSource, run: Run, context: RunContext) {
    const typescript = import.meta.url.endsWith('.ts');
    const entry = new URL(typescript ? './run-child/main.ts' : './run-child/main.js', import.meta.url);
    this.#child = fork(entry, { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.finished = this.#follow(context);
    const request: ChildRequest = { type: 'run', source, command: run.command };
    this.#child.send(request);
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
