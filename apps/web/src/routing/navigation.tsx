import { useCallback, useMemo, useSyncExternalStore, type MouseEvent, type ReactElement, type ReactNode } from 'react';
import { parsePath, pathOf, type Route } from './routes.ts';

export type Destination = Exclude<Route, { page: 'notFound' }>;

function subscribe(listener: () => void): () => void {
  window.addEventListener('popstate', listener);
  return () => {
    window.removeEventListener('popstate', listener);
  };
}

/** Goes there without loading the page anew; listeners of `popstate` hear of it like of Back and Forward. */
export function navigate(to: Destination, { replace = false } = {}): void {
  const path = pathOf(to);
  if (path === window.location.pathname) return;
  if (replace) window.history.replaceState(null, '', path);
  else window.history.pushState(null, '', path);
  window.dispatchEvent(new PopStateEvent('popstate'));
  window.scrollTo(0, 0);
}

export function useRoute(): Route {
  const pathname = useSyncExternalStore(subscribe, () => window.location.pathname);
  return useMemo(() => parsePath(pathname), [pathname]);
}

/** `href` and `onClick` of a link: a plain click navigates, any other (new tab, save) is the browser's. */
export function useLink(to: Destination): { href: string; onClick: (event: MouseEvent<HTMLAnchorElement>) => void } {
  const href = pathOf(to);
  const onClick = useCallback(
    (event: MouseEvent<HTMLAnchorElement>) => {
      if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      navigate(parsePath(href) as Destination);
    },
    [href],
  );
  return { href, onClick };
}

export function Link({ to, children, ...rest }: LinkProps): ReactElement {
  return (
    <a {...useLink(to)} {...rest}>
      {children}
    </a>
  );
}

interface LinkProps {
  to: Destination;
  children: ReactNode;
  className?: string;
  'aria-label'?: string;
}
