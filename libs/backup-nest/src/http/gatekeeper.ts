import { BackupError, printable } from '@foodsave-backup/kernel';
import { header } from './messages.ts';
import type { HttpRequest, Middleware } from './messages.ts';
import { sendProblem } from './problem.ts';

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/;

/**
 * Keeps other web sites out of a service without a login. The `Host` must be one of ours, or a name that an attacker owns
 * could point here (DNS rebinding); what a browser says of where a request comes from (`Origin`, `Sec-Fetch-Site`) must be
 * this service itself. Programs that are no browsers send neither and are let in.
 */
export function createGatekeeper(allowedHosts: readonly string[]): Middleware {
  const allowed = new Set(allowedHosts.map((name) => name.toLowerCase().replace(/\.$/, '')));
  return (request, response, next) => {
    const refusal = hostRefusal(request, allowed) ?? originRefusal(request);
    if (refusal === undefined) next();
    else sendProblem(refusal, request, response);
  };
}

function hostRefusal(request: HttpRequest, allowed: ReadonlySet<string>): BackupError | undefined {
  const host = (header(request, 'host') ?? '').toLowerCase();
  const name = HOST.exec(host)?.[1]?.replace(/\.$/, '');
  if (name !== undefined && (LOOPBACK.test(name) || allowed.has(name) || allowed.has(host))) return undefined;
  return new BackupError('HOST_NOT_ALLOWED', `This service does not answer to the name "${printable(host)}"`, {
    hint: 'Use 127.0.0.1 or localhost, or list the name under server.allowedHosts in backup.yaml.',
  });
}

function originRefusal(request: HttpRequest): BackupError | undefined {
  const site = header(request, 'sec-fetch-site');
  // A link on another page may lead here: what a browser opens as a page cannot be read by that page.
  const isNavigation = request.method === 'GET' && header(request, 'sec-fetch-mode') === 'navigate';
  const fromElsewhere = site !== undefined && site !== 'same-origin' && site !== 'none' && !isNavigation;
  if (!fromElsewhere && isOwnOrigin(request)) return undefined;
  return new BackupError('ORIGIN_NOT_ALLOWED', 'The request comes from another web site', {
    hint: 'Use the page of this service itself, the CLI, or a program that is no browser.',
  });
}

function isOwnOrigin(request: HttpRequest): boolean {
  const origin = header(request, 'origin');
  if (origin === undefined) return true;
  try {
    const { protocol, host } = new URL(origin);
    return /^https?:$/.test(protocol) && host === new URL(`${protocol}//${header(request, 'host') ?? ''}`).host;
  } catch {
    return false;
  }
}
