import { Skeleton } from '@mantine/core';
import type { ReactElement, ReactNode } from 'react';
import { useStats } from '../api/queries.ts';
import { useI18n } from '../i18n/context.tsx';
import { useNow } from '../ui/now.ts';
import { Problem } from '../ui/problem.tsx';
import { At } from '../ui/time.tsx';

export function StatsPanel(): ReactElement {
  const { t, bytes, number } = useI18n();
  const now = useNow(60_000);
  const { data, error, isPending } = useStats();
  return (
    <section className="card stack" aria-labelledby="stats-title">
      <h2 id="stats-title">{t('statsTitle')}</h2>
      {isPending && <Skeleton height={120} />}
      {data === undefined && error !== null && <Problem error={error} />}
      {(data === null || data?.backups === 0) && <p className="small muted">{t('statsNone')}</p>}
      {data !== undefined && data !== null && data.backups > 0 && (
        <dl className="pairs">
          <Pair term={t('statsBackups')}>{number(data.backups)}</Pair>
          <Pair term={t('statsStored')}>{bytes(data.storedBytes)}</Pair>
          <Pair term={t('statsLogical')}>{bytes(data.logicalBytes)}</Pair>
          <Pair term={t('statsRatio')}>{t('statsRatioValue', { ratio: number(data.dedupRatio, 1) })}</Pair>
          {data.oldest !== undefined && (
            <Pair term={t('statsOldest')}>
              <At at={data.oldest} now={now} />
            </Pair>
          )}
        </dl>
      )}
    </section>
  );
}

function Pair({ term, children }: { term: string; children: ReactNode }): ReactElement {
  return (
    <div>
      <dt>{term}</dt>
      <dd>{children}</dd>
    </div>
  );
}
