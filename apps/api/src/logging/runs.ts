import type { RunEvent } from '@foodsave-backup/kernel';
import type { RunManager } from '@foodsave-backup/runtime';
import type { Logger } from 'pino';

/** What runs do, each line with the id of its run. */
export function logRuns(runs: RunManager, logger: Logger): void {
  runs.listen((event) => {
    logEvent(event, runs, logger.child({ runId: event.runId }));
  });
}

function logEvent(event: RunEvent, runs: RunManager, logger: Logger): void {
  switch (event.type) {
    case 'run.started':
      logger.info(`backup: ${event.command} started`);
      return;
    case 'component.started':
      logger.debug(`backup: ${event.component}`);
      return;
    case 'progress':
      logger.trace({ progress: event.progress }, `backup: ${event.progress.phase}`);
      return;
    case 'warning':
      logger.warn({ code: event.code }, `backup: ${event.message}`);
      return;
    case 'component.finished':
      if (event.status === 'failed') logError(`backup: ${event.component} failed`, event.error, logger);
      else logger.debug(`backup: ${event.component} is complete`);
      return;
    case 'run.finished': {
      const { command } = runs.get(event.runId).view();
      const message = `backup: ${command} ${event.status}`;
      if (event.error !== undefined) logError(message, event.error, logger);
      else logger[event.status === 'succeeded' ? 'info' : 'warn'](message);
      return;
    }
  }
}

function logError(message: string, error: Extract<RunEvent, { type: 'run.finished' }>['error'], logger: Logger): void {
  const { code, message: why, hint } = error ?? {};
  logger.error({ code, hint }, why === undefined ? message : `${message}: ${why}`);
}
