import type { IncomingMessage, ServerResponse } from 'node:http';

/** What of an Express request is used here. */
export interface HttpRequest extends IncomingMessage {
  originalUrl?: string;
  params?: Readonly<Record<string, string | undefined>>;
  query?: unknown;
  body?: unknown;
}

/** What of an Express response is used here. */
export interface HttpResponse extends ServerResponse {
  status(code: number): this;
}

export type Middleware = (request: HttpRequest, response: HttpResponse, next: (error?: unknown) => void) => void;

/** Path of a request without its query, which may hold what nobody should read. */
export function pathOf(request: HttpRequest): string {
  const url = request.originalUrl ?? request.url ?? '/';
  const end = url.search(/[?#]/);
  return end < 0 ? url : url.slice(0, end);
}

/** One header as a text; the first of several. */
export function header(request: HttpRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
