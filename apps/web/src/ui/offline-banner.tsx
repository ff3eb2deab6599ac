import type { ReactElement } from 'react';
import { useBackups, useOffline } from '../api/queries.ts';
import { useI18n } from '../i18n/context.tsx';
import { useNow } from './now.ts';
import { Notice } from './problem.tsx';

export function OfflineBanner(): ReactElement | null {
  const { t, relative } = useI18n();
  const { dataUpdatedAt } = useBackups();
  const now = useNow(1000);
  if (!useOffline()) return null;
  const text = dataUpdatedAt > 0 ? t('offlineText', { when: relative(dataUpdatedAt, now) }) : t('offlineNoData');
  return (
    <section className="card" role="status">
      <Notice tone="attention" icon="attention" title={t('offlineTitle')}>
        <p>{text}</p>
      </Notice>
    </section>
  );
}
