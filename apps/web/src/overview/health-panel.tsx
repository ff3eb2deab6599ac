import { Skeleton } from '@mantine/core';
import type { ReactElement } from 'react';
import { useHealth } from '../api/queries.ts';
import { useI18n } from '../i18n/context.tsx';
import { Problem } from '../ui/problem.tsx';
import { Status } from '../ui/status.tsx';
import { indicatorWord } from '../ui/words.ts';

export function HealthPanel(): ReactElement {
  const i18n = useI18n();
  const { t, locale } = i18n;
  const { data, error, isPending } = useHealth();
  return (
    <section className="card stack" aria-labelledby="health-title">
      <h2 id="health-title">{t('healthTitle')}</h2>
      {isPending && <Skeleton height={120} />}
      {data === undefined && error !== null && <Problem error={error} />}
      {data !== undefined && (
        <ul className="stack">
          {Object.entries(data.details).map(([name, { status, message }]) => (
            <li key={name}>
              <div className="row spread small">
                <span>{indicatorWord(i18n, name)}</span>
                <Status tone={status === 'up' ? 'ok' : 'failed'} icon={status === 'up' ? 'ok' : 'failed'}>
                  {t(status === 'up' ? 'healthUp' : 'healthDown')}
                </Status>
              </div>
              {message !== undefined && (
                <p className="tiny muted" lang={locale === 'en' ? undefined : 'en'}>
                  {message}
                </p>
              )}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
