/** Where the page is served. */
const BASE = '/backup';

export type Route =
  | { page: 'overview' }
  | { page: 'backup'; name: string }
  | { page: 'restore'; name: string }
  | { page: 'run'; id: string }
  | { page: 'notFound' };

function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

export function parsePath(pathname: string): Route {
  if (pathname !== BASE && !pathname.startsWith(`${BASE}/`)) return { page: 'notFound' };
  const [kind, raw, action, ...rest] = pathname
    .slice(BASE.length)
    .split('/')
    .filter((part) => part !== '');
  if (kind === undefined) return { page: 'overview' };
  const name = raw === undefined ? undefined : decode(raw);
  if (name === undefined || rest.length > 0) return { page: 'notFound' };
  if (kind === 'runs' && action === undefined) return { page: 'run', id: name };
  if (kind === 'backups' && action === undefined) return { page: 'backup', name };
  if (kind === 'backups' && action === 'restore') return { page: 'restore', name };
  return { page: 'notFound' };
}

export function pathOf(route: Exclude<Route, { page: 'notFound' }>): string {
  switch (route.page) {
    case 'overview':
      return BASE;
    case 'backup':
      return `${BASE}/backups/${encodeURIComponent(route.name)}`;
    case 'restore':
      return `${BASE}/backups/${encodeURIComponent(route.name)}/restore`;
    case 'run':
      return `${BASE}/runs/${encodeURIComponent(route.id)}`;
  }
}
