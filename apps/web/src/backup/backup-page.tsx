import type { Backup } from '@foodsave-backup/contracts/types';
import { Button, Skeleton } from '@mantine/core';
import type { ReactElement, ReactNode } from 'react';
import { useBackup } from '../api/queries.ts';
import { useI18n } from '../i18n/context.tsx';
import { useLink } from '../routing/navigation.tsx';
import { useNow } from '../ui/now.ts';
import { PageHead } from '../ui/page.tsx';
import { ErrorNote, Problem } from '../ui/problem.tsx';
import { BackupStatus, VerificationMark } from '../ui/status.tsx';
import { Ago, At } from '../ui/time.tsx';
import { triggerWord } from '../ui/words.ts';
import { ComponentCard } from './component-card.tsx';
import { DeleteButton } from './delete-button.tsx';
import { DownloadSection } from './download-section.tsx';
import { TreeBrowser } from './tree-browser.tsx';
import { VerifySection } from './verify-section.tsx';

export function BackupPage({ name }: { name: string }): ReactElement {
  const { data: backup, error, refetch } = useBackup(name);
  return (
    <PageHead title={name}>
      {backup !== undefined && <KnownBackup backup={backup} />}
      {backup === undefined && error !== null && (
        <div className="card">
          <Problem error={error} onRetry={() => void refetch()} />
        </div>
      )}
      {backup === undefined && error === null && <Skeleton height={320} />}
    </PageHead>
  );
}

function KnownBackup({ backup }: { backup: Backup }): ReactElement {
  const { t } = useI18n();
  const { name, components, error, status } = backup;
  const restore = useLink({ page: 'restore', name });
  return (
    <div className="stack" style={{ gap: 24 }}>
      <div className="row spread">
        <BackupStatus status={status} />
        <div className="row">
          <Button component="a" {...restore}>
            {t('restore')}
          </Button>
          <DeleteButton name={name} />
        </div>
      </div>
      {error !== undefined && (
        <div className="card">
          <ErrorNote error={error} title={t(status === 'damaged' ? 'statusDamaged' : 'statusPartial')} />
        </div>
      )}
      <Summary backup={backup} />
      <VerifySection backup={backup} />
      <DownloadSection name={name} />
      <section className="stack" aria-labelledby="components-title">
        <h2 id="components-title">{t('columnComponents')}</h2>
        <div className="grid-cards">
          {Object.entries(components).map(([instance, component]) => (
            <ComponentCard key={instance} instance={instance} component={component} />
          ))}
        </div>
      </section>
      <TreeBrowser name={name} />
    </div>
  );
}

function Summary({ backup }: { backup: Backup }): ReactElement {
  const i18n = useI18n();
  const { t, bytes, duration } = i18n;
  const now = useNow(30_000);
  const { createdAt, durationMs, trigger, sizeBytes, storedBytes, verification, tiers, tags, hold } = backup;
  const kept = [...(hold ? [t('held')] : []), ...tiers];
  return (
    <section className="card" aria-label={t('summary')}>
      <dl className="facts">
        <Fact term={t('factCreated')}>
          <At at={createdAt} now={now} />
          <div className="tiny muted">
            <Ago at={createdAt} now={Math.max(now, Date.parse(createdAt))} />
          </div>
        </Fact>
        <Fact term={t('factDuration')}>{duration(durationMs)}</Fact>
        <Fact term={t('factTrigger')}>{triggerWord(i18n, trigger)}</Fact>
        <Fact term={t('columnSize')}>{bytes(sizeBytes)}</Fact>
        <Fact term={t('columnAdded')}>{bytes(storedBytes)}</Fact>
        <Fact term={t('factVerification')}>
          <VerificationMark verification={verification} />
          {verification.at !== undefined && (
            <div className="tiny muted">
              <Ago at={verification.at} now={Math.max(now, Date.parse(verification.at))} />
            </div>
          )}
        </Fact>
        {kept.length > 0 && <Fact term={t('factTiers')}>{kept.join(', ')}</Fact>}
        {tags.length > 0 && <Fact term={t('factTags')}>{tags.join(', ')}</Fact>}
      </dl>
    </section>
  );
}

function Fact({ term, children }: { term: string; children: ReactNode }): ReactElement {
  return (
    <div>
      <dt>{term}</dt>
      <dd>{children}</dd>
    </div>
  );
}
