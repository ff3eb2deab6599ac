import { HttpException } from '@nestjs/common';
import { BackupError, printable, toBackupError } from '@foodsave-backup/kernel';
import { ERROR_TITLE, HTTP_STATUS, problemType } from '@foodsave-backup/contracts';
import type { Problem, ProblemItem } from '@foodsave-backup/contracts';
import { pathOf } from './messages.ts';
import type { HttpRequest, HttpResponse } from './messages.ts';

/** RFC 9457 problem details of an error. Only its code, message and hint are told, never where in the code it happened. */
function problemOf(error: BackupError, request: HttpRequest): Problem {
  const errors: unknown = error.details?.['errors'];
  return {
    type: problemType(error.code),
    title: ERROR_TITLE[error.code],
    status: HTTP_STATUS[error.code],
    detail: error.message,
    code: error.code,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    instance: printable(pathOf(request)),
    ...(Array.isArray(errors) ? { errors: errors as ProblemItem[] } : {}),
  };
}

export function sendProblem(error: BackupError, request: HttpRequest, response: HttpResponse): void {
  if (response.headersSent) {
    // An end would tell the client that it has everything.
    response.destroy();
    return;
  }
  const problem = problemOf(error, request);
  const allow: unknown = error.details?.['allow'];
  if (error.code === 'METHOD_NOT_ALLOWED' && typeof allow === 'string') response.setHeader('Allow', allow);
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('Content-Type', 'application/problem+json; charset=utf-8');
  response.statusCode = problem.status;
  response.end(request.method === 'HEAD' ? undefined : JSON.stringify(problem));
}

/** Whatever was thrown while a request was answered, as an error that may be told. `allowed`: methods the address has. */
export function tellable(thrown: unknown, allowed: () => readonly string[]): BackupError {
  if (thrown instanceof BackupError) return thrown;
  if (thrown instanceof HttpException) return fromHttp(thrown, allowed);
  const error = toBackupError(thrown);
  if (error.code !== 'INTERNAL') return error;
  return new BackupError('INTERNAL', 'Something went wrong that should not have', {
    hint: 'The log of the server says more. Please report it.',
    cause: thrown,
  });
}

function fromHttp(thrown: HttpException, allowed: () => readonly string[]): BackupError {
  const status = thrown.getStatus();
  if (status === 404) return notFound(allowed());
  if (status === 413) {
    return new BackupError('PAYLOAD_TOO_LARGE', 'The body of the request is larger than 1 MB', {
      hint: 'No request of this service needs that much.',
    });
  }
  if (status >= 500) {
    return new BackupError('INTERNAL', thrown.message, { hint: 'The log of the server says more.', cause: thrown });
  }
  if (thrown.cause instanceof URIError) {
    return new BackupError('VALIDATION_FAILED', 'The address is not encoded correctly', {
      hint: 'Write each "%" as "%25".',
    });
  }
  if (thrown.cause instanceof SyntaxError) {
    return new BackupError('VALIDATION_FAILED', 'The body is not valid JSON', {
      hint: 'Send a JSON object such as {"verify": true}, or put the parameters into the query.',
    });
  }
  return new BackupError('VALIDATION_FAILED', thrown.message, { hint: 'See /api/docs for what each request takes.' });
}

function notFound(allowed: readonly string[]): BackupError {
  if (allowed.length === 0) {
    return new BackupError('ROUTE_NOT_FOUND', 'There is nothing at this address', {
      hint: 'See /api/docs for every address of the API; the page is at /backup.',
    });
  }
  const allow = allowed.join(', ');
  return new BackupError('METHOD_NOT_ALLOWED', 'This address does not know the method of the request', {
    hint: `It takes ${allow}.`,
    details: { allow },
  });
}
