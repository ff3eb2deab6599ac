import { useEffect, type ReactElement, type ReactNode } from 'react';
import { useI18n } from '../i18n/context.tsx';
import { Link } from '../routing/navigation.tsx';

/** Names the browser's tab. */
export function useTitle(page: string): void {
  const { t } = useI18n();
  useEffect(() => {
    document.title = t('pageTitle', { page });
  }, [t, page]);
}

/** Heading of a page below the overview, with the way back. */
export function PageHead({ title, children }: { title: string; children?: ReactNode }): ReactElement {
  const { t } = useI18n();
  useTitle(title);
  return (
    <div className="stack">
      <p className="small">
        <Link to={{ page: 'overview' }}>
          <span aria-hidden="true">← </span>
          {t('back')}
        </Link>
      </p>
      <h1 id="page-title" tabIndex={-1}>
        {title}
      </h1>
      {children}
    </div>
  );
}
