import { pathOf } from '@foodsave-backup/backup-nest';
import type { Middleware } from '@foodsave-backup/backup-nest';
import { systemClock } from '@foodsave-backup/kernel';
import type { Logger } from 'pino';

/** One line a request: method, path, status, duration. No query and no headers: they may hold what nobody should read. */
export function logRequests(logger: Logger): Middleware {
  return (request, response, next) => {
    const started = systemClock.monotonic();
    response.on('close', () => {
      const { statusCode: status } = response;
      const method = request.method ?? '';
      const path = pathOf(request);
      const durationMs = Math.round(systemClock.monotonic() - started);
      const level = status >= 500 ? 'warn' : method === 'GET' || method === 'HEAD' ? 'debug' : 'info';
      const how = response.writableFinished ? String(status) : 'the client went away';
      logger[level]({ method, path, status, durationMs }, `${method} ${path}: ${how}, ${durationMs} ms`);
    });
    next();
  };
}
