import type { Backup } from '@foodsave-backup/contracts/types';
import { Button, Skeleton } from '@mantine/core';
import { useState, type ReactElement } from 'react';
import { useBackups, useOffline } from '../api/queries.ts';
import { useI18n } from '../i18n/context.tsx';
import { Link, useLink } from '../routing/navigation.tsx';
import { BackupName } from '../ui/backup-name.tsx';
import { useNow } from '../ui/now.ts';
import { Problem } from '../ui/problem.tsx';
import { BackupStatus, VerificationMark } from '../ui/status.tsx';
import { Ago } from '../ui/time.tsx';
import { componentName, triggerWord } from '../ui/words.ts';
import { CleanupDialog } from './cleanup-dialog.tsx';
import { CreateButton } from './create-button.tsx';

export function BackupsSection(): ReactElement {
  const { t, plural } = useI18n();
  const query = useBackups();
  const { data, error, isPending, hasNextPage, isFetchingNextPage } = query;
  const offline = useOffline();
  const [cleaning, setCleaning] = useState(false);
  const total = data?.pages[0]?.total;
  return (
    <section className="card stack" aria-labelledby="backups-title">
      <div className="row spread">
        <h2 id="backups-title">{t('backups')}</h2>
        {total !== undefined && total > 0 && (
          <div className="row">
            <span className="small muted">{plural('backupsCount', total)}</span>
            <Button
              variant="default"
              size="xs"
              disabled={offline}
              onClick={() => {
                setCleaning(true);
              }}
            >
              {t('cleanup')}
            </Button>
          </div>
        )}
      </div>
      {isPending && <TableSkeleton />}
      {data === undefined && error !== null && <Problem error={error} onRetry={() => void query.refetch()} />}
      {total === 0 && <Empty />}
      {data !== undefined && total !== 0 && <BackupTable backups={data.pages.flatMap((page) => page.items)} />}
      {hasNextPage && (
        <div>
          <Button variant="default" disabled={isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            {t('showMore')}
          </Button>
        </div>
      )}
      <CleanupDialog
        opened={cleaning}
        onClose={() => {
          setCleaning(false);
        }}
      />
    </section>
  );
}

function TableSkeleton(): ReactElement {
  const { t } = useI18n();
  return (
    <div className="stack" aria-busy="true">
      <span className="hidden-text">{t('loading')}</span>
      {[0, 1, 2, 3].map((row) => (
        <Skeleton key={row} height={44} />
      ))}
    </div>
  );
}

function Empty(): ReactElement {
  const { t } = useI18n();
  return (
    <div className="stack stack-l" style={{ justifyItems: 'center', textAlign: 'center', padding: '32px 0' }}>
      <div className="stack">
        <h3>{t('emptyTitle')}</h3>
        <p className="muted">{t('emptyText')}</p>
      </div>
      <CreateButton />
    </div>
  );
}

function BackupTable({ backups }: { backups: readonly Backup[] }): ReactElement {
  const { t } = useI18n();
  const now = useNow(15_000);
  return (
    <table className="cards" role="table">
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader">{t('columnName')}</th>
          <th role="columnheader">{t('columnStatus')}</th>
          <th role="columnheader">{t('columnWhen')}</th>
          <th role="columnheader" className="num">
            {t('columnSize')}
          </th>
          <th role="columnheader">{t('columnComponents')}</th>
          <th role="columnheader">
            <span className="hidden-text">{t('columnActions')}</span>
          </th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {backups.map((backup) => (
          <BackupRow key={backup.id === '' ? backup.name : backup.id} backup={backup} now={now} />
        ))}
      </tbody>
    </table>
  );
}

function BackupRow({ backup, now }: { backup: Backup; now: number }): ReactElement {
  const i18n = useI18n();
  const { t, bytes } = i18n;
  const { name, status, createdAt, sizeBytes, storedBytes, components, verification, trigger, hold } = backup;
  const restore = useLink({ page: 'restore', name });
  const marks = [triggerWord(i18n, trigger), ...(hold ? [t('held')] : []), ...backup.tags];
  return (
    <tr role="row">
      <td role="cell" className="cell-name">
        <Link to={{ page: 'backup', name }} className="strong">
          <BackupName name={name} />
        </Link>
        <div className="tiny muted">{marks.join(' · ')}</div>
      </td>
      <td role="cell" data-label={t('columnStatus')}>
        <div>
          <BackupStatus status={status} />
          <div className="tiny">
            <VerificationMark verification={verification} />
          </div>
        </div>
      </td>
      <td role="cell" data-label={t('columnWhen')} className="nowrap">
        <Ago at={createdAt} now={Math.max(now, Date.parse(createdAt))} />
      </td>
      <td role="cell" data-label={t('columnSize')} className="num">
        <div>
          {bytes(sizeBytes)}
          <div className="tiny muted" title={t('sizeTitle', { size: bytes(sizeBytes), added: bytes(storedBytes) })}>
            +{bytes(storedBytes)}
          </div>
        </div>
      </td>
      <td role="cell" data-label={t('columnComponents')} className="tiny">
        {Object.keys(components)
          .map((instance) => componentName(i18n, instance))
          .join(', ')}
      </td>
      <td role="cell" className="num">
        {backup.id !== '' && (
          <Button component="a" {...restore} variant="default" size="xs" aria-label={t('restoreNamed', { name })}>
            {t('restore')}
          </Button>
        )}
      </td>
    </tr>
  );
}
