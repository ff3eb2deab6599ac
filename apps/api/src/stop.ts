import type { INestApplication } from '@nestjs/common';
import type { Logger } from 'pino';

/** Exit code of a process that is stopped a second time while it is stopping. */
const IMPATIENT = 130;

/**
 * Resolves with the exit code when the server has stopped: at SIGTERM or SIGINT, and with BACKUP_EXIT_WITH_STDIN=1 when its
 * standard input ends, that is when whoever started it is gone. Runs are cancelled and waited for.
 */
export function onStop(app: INestApplication, logger: Logger): Promise<number> {
  return new Promise((resolve) => {
    let stopping = false;
    const stop = (why: string): void => {
      if (stopping) process.exit(IMPATIENT);
      stopping = true;
      logger.info(`Stopping (${why}): runs are cancelled. Once more to stop at once.`);
      app.close().then(
        () => {
          logger.info('Stopped');
          process.stdin.pause();
          resolve(0);
        },
        (error: unknown) => {
          logger.error({ err: error }, 'The server did not stop cleanly');
          process.stdin.pause();
          resolve(1);
        },
      );
    };
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop(signal));
    if (process.env['BACKUP_EXIT_WITH_STDIN'] === '1') {
      process.stdin.on('end', () => {
        if (!stopping) stop('standard input has ended');
      });
      process.stdin.resume();
    }
  });
}
