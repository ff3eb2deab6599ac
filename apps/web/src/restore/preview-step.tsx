import type { Backup, RestoreResult } from '@foodsave-backup/contracts/types';
import { Button, Skeleton } from '@mantine/core';
import type { ReactElement } from 'react';
import { api } from '../api/endpoints.ts';
import { useRunAction } from '../api/mutations.ts';
import { useOffline, useRestorePreview } from '../api/queries.ts';
import { useI18n } from '../i18n/context.tsx';
import { navigate } from '../routing/navigation.tsx';
import { CodeDialog } from '../ui/dialog.tsx';
import { useNow } from '../ui/now.ts';
import { Problem } from '../ui/problem.tsx';
import { PreviewTable } from './preview-table.tsx';
import { choiceOf, previewRows, type Wizard } from './wizard.ts';

interface PreviewStepProps {
  backup: Backup;
  wizard: Wizard;
  instances: readonly string[];
  onBack: () => void;
  confirming: boolean;
  onConfirming: (confirming: boolean) => void;
}

/** What the server says it would do. The button that does it exists only below that answer. */
export function PreviewStep(props: PreviewStepProps): ReactElement {
  const { backup, wizard, instances, onBack, confirming, onConfirming } = props;
  const { t } = useI18n();
  const offline = useOffline();
  const choice = choiceOf(wizard, instances);
  const preview = useRestorePreview(backup.name, choice, true);
  const restore = useRunAction(
    () => api.restore(backup.name, choice),
    (run) => {
      navigate({ page: 'run', id: run.id });
    },
  );
  const toFolder = wizard.target === 'folder';
  return (
    <>
      <h2>{t('previewTitle')}</h2>
      {preview.isPending && (
        <div className="stack" aria-busy="true">
          <p className="muted" role="status">
            {t('previewLoading')}
          </p>
          <Skeleton height={140} />
        </div>
      )}
      {preview.error !== null && <Problem error={preview.error} onRetry={() => void preview.refetch()} />}
      {preview.data !== undefined && <Preview result={preview.data} />}
      {restore.error !== null && !confirming && <Problem error={restore.error} />}
      <div className="row">
        {preview.data !== undefined && (
          <Button
            color={toFolder ? 'ink' : 'danger'}
            disabled={restore.pending || offline}
            onClick={() => {
              if (toFolder) restore.start(undefined);
              else onConfirming(true);
            }}
          >
            {t(toFolder ? 'restoreToFolder' : 'restoreLive')}
          </Button>
        )}
        <Button variant="default" onClick={onBack}>
          {t('previous')}
        </Button>
      </div>
      <LiveConfirmation
        backup={backup}
        opened={confirming}
        onClose={() => {
          onConfirming(false);
        }}
        pending={restore.pending}
        error={restore.error}
        onConfirm={() => {
          restore.start(undefined);
        }}
      />
    </>
  );
}

function Preview({ result }: { result: RestoreResult }): ReactElement {
  const { t, bytes } = useI18n();
  const rows = previewRows(result);
  const size = bytes(rows.reduce((sum, row) => sum + row.bytes, 0));
  const { target } = result;
  return (
    <div className="stack">
      <PreviewTable rows={rows} live={target === undefined} />
      <p>{target === undefined ? t('previewBytesLive', { size }) : t('previewBytes', { size, target })}</p>
    </div>
  );
}

interface LiveConfirmationProps {
  backup: Backup;
  opened: boolean;
  onClose: () => void;
  pending: boolean;
  error: Error | null;
  onConfirm: () => void;
}

function LiveConfirmation({ backup, error, ...dialog }: LiveConfirmationProps): ReactElement {
  const { t, dateTime, duration } = useI18n();
  const now = useNow(30_000);
  const made = Date.parse(backup.createdAt);
  return (
    <CodeDialog {...dialog} title={t('confirmTitle')} confirm={t('confirmReplace')}>
      <p>{t('confirmText', { time: dateTime(made, now), age: duration(Math.max(0, now - made)) })}</p>
      {error !== null && <Problem error={error} />}
    </CodeDialog>
  );
}
