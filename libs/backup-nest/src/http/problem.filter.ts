import { Catch, Logger } from '@nestjs/common';
import type { ArgumentsHost, ExceptionFilter } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { HTTP_STATUS } from '@foodsave-backup/contracts';
import { pathOf } from './messages.ts';
import type { HttpRequest, HttpResponse } from './messages.ts';
import { sendProblem, tellable } from './problem.ts';
import { methodsAt } from './routes.ts';

/** Every error as `application/problem+json`. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger = new Logger('Backup');
  readonly #adapterHost: HttpAdapterHost;

  constructor(adapterHost: HttpAdapterHost) {
    this.#adapterHost = adapterHost;
  }

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<HttpRequest>();
    const response = http.getResponse<HttpResponse>();
    const error = tellable(thrown, () => methodsAt(this.#adapterHost.httpAdapter, pathOf(request)));
    if (HTTP_STATUS[error.code] >= 500) {
      const cause = error.cause instanceof Error ? error.cause.stack : undefined;
      this.#logger.error(`${request.method ?? ''} ${pathOf(request)}: ${error.code} ${error.message}`, cause);
    }
    sendProblem(error, request, response);
  }
}
