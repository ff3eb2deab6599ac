import type { LoggerService } from '@nestjs/common';
import type { Logger } from 'pino';

/** What Nest tells of its own start: of interest to its developers only. */
const WIRING = new Set(['InstanceLoader', 'RoutesResolver', 'RouterExplorer', 'NestFactory', 'NestApplication']);

/** Nest's log through pino. Nest gives the context last, and a stack before it. */
export class NestLogger implements LoggerService {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  log(message: unknown, ...rest: unknown[]): void {
    const { context } = split(rest);
    this.#logger[context !== undefined && WIRING.has(context) ? 'debug' : 'info'](fields(context), text(message));
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    const { context, stack } = split(rest);
    this.#logger.fatal(fields(context, stack), text(message));
  }

  error(message: unknown, ...rest: unknown[]): void {
    const { context, stack } = split(rest);
    const own = message instanceof Error ? message.stack : undefined;
    // A port that is taken: whoever called listen() says it better.
    const level = context === 'NestApplication' && text(message).includes('EADDRINUSE') ? 'debug' : 'error';
    this.#logger[level](fields(context, stack ?? own), text(message));
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.#logger.warn(fields(split(rest).context), text(message));
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.#logger.debug(fields(split(rest).context), text(message));
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.#logger.trace(fields(split(rest).context), text(message));
  }
}

function split(rest: readonly unknown[]): { context?: string; stack?: string } {
  const texts = rest.filter((value): value is string => typeof value === 'string');
  const stack = texts.find((value) => /\n\s+at /.test(value));
  const context = texts.findLast((value) => value !== stack);
  return { ...(context === undefined ? {} : { context }), ...(stack === undefined ? {} : { stack }) };
}

function fields(context: string | undefined, stack?: string): Record<string, unknown> {
  return { ...(context === undefined ? {} : { context }), ...(stack === undefined ? {} : { err: { stack } }) };
}

function text(message: unknown): string {
  if (typeof message === 'string') return message;
  return message instanceof Error ? message.message : JSON.stringify(message);
}
