import type { CleanupResult } from '@foodsave-backup/contracts/types';
import { Button, Modal, Skeleton } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState, type ReactElement } from 'react';
import { api } from '../api/endpoints.ts';
import { keys } from '../api/keys.ts';
import { useAction } from '../api/mutations.ts';
import { useCleanupPreview } from '../api/queries.ts';
import { useI18n } from '../i18n/context.tsx';
import { Notice, Problem } from '../ui/problem.tsx';

/** Shows what the retention rules would delete, and why, before they do. */
export function CleanupDialog({ opened, onClose }: { opened: boolean; onClose: () => void }): ReactElement {
  const { t } = useI18n();
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={t('cleanupTitle')}
      size="lg"
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <Cleanup onClose={onClose} />
    </Modal>
  );
}

function Cleanup({ onClose }: { onClose: () => void }): ReactElement {
  const { t, plural, bytes } = useI18n();
  const client = useQueryClient();
  const preview = useCleanupPreview(true);
  const [done, setDone] = useState<CleanupResult>();
  const cleanup = useAction(
    () => api.cleanup(false),
    (result: CleanupResult) => {
      setDone(result);
      for (const queryKey of [keys.backups, keys.stats, keys.runs, keys.health])
        void client.invalidateQueries({ queryKey });
    },
  );
  const count = preview.data?.deleted.length ?? 0;
  return (
    <div className="stack stack-l">
      {preview.isPending && <Skeleton height={120} />}
      {preview.error !== null && <Problem error={preview.error} onRetry={() => void preview.refetch()} />}
      {done === undefined && preview.data !== undefined && <Preview result={preview.data} />}
      {done !== undefined && (
        <Notice
          tone="ok"
          icon="ok"
          live
          title={plural('cleanupDone', done.deleted.length, { size: bytes(done.freedBytes) })}
        />
      )}
      {cleanup.error !== null && <Problem error={cleanup.error} />}
      <div className="row" style={{ justifyContent: 'flex-end' }}>
        <Button variant="default" onClick={onClose} data-autofocus>
          {t(done === undefined ? 'cancel' : 'close')}
        </Button>
        {done === undefined && count > 0 && (
          <Button
            color="danger"
            disabled={cleanup.pending}
            onClick={() => {
              cleanup.start(undefined);
            }}
          >
            {t('cleanupButton', { count })}
          </Button>
        )}
      </div>
    </div>
  );
}

function Preview({ result }: { result: CleanupResult }): ReactElement {
  const { t, plural, bytes, locale } = useI18n();
  const { deleted, kept, freedBytes, blocked } = result;
  const lang = locale === 'en' ? undefined : 'en';
  return (
    <div className="stack">
      {deleted.length === 0 ? (
        <p>{t('cleanupNothing')}</p>
      ) : (
        <>
          <p>{plural('cleanupDeletes', deleted.length, { size: bytes(freedBytes) })}</p>
          <ul className="paths stack" tabIndex={0} aria-label={t('cleanupTitle')}>
            {deleted.map(({ name, reason }) => (
              <li key={name}>
                <div className="small strong">{name}</div>
                <div className="tiny muted" lang={lang}>
                  {reason}
                </div>
              </li>
            ))}
          </ul>
          <p className="small">{t('cleanupIrreversible')}</p>
        </>
      )}
      {blocked !== undefined && (
        <p className="small" lang={lang}>
          {blocked}
        </p>
      )}
      {kept.length > 0 && (
        <details>
          <summary>{plural('cleanupKeeps', kept.length)}</summary>
          <ul className="paths stack" tabIndex={0} aria-label={plural('cleanupKeeps', kept.length)}>
            {kept.map(({ name, reasons }) => (
              <li key={name}>
                <div className="small strong">{name}</div>
                <div className="tiny muted" lang={lang}>
                  {reasons.join(' · ')}
                </div>
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}
