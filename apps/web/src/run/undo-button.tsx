import { Button } from '@mantine/core';
import { useState, type ReactElement } from 'react';
import { api } from '../api/endpoints.ts';
import { useRunAction } from '../api/mutations.ts';
import { useOffline } from '../api/queries.ts';
import { useI18n } from '../i18n/context.tsx';
import { navigate } from '../routing/navigation.tsx';
import { ConfirmDialog } from '../ui/dialog.tsx';
import { Problem } from '../ui/problem.tsx';

export function UndoButton(): ReactElement {
  const { t } = useI18n();
  const [asking, setAsking] = useState(false);
  const offline = useOffline();
  const undo = useRunAction(
    () => api.undo(),
    (run) => {
      setAsking(false);
      navigate({ page: 'run', id: run.id });
    },
  );
  return (
    <div>
      <Button
        variant="default"
        disabled={offline}
        onClick={() => {
          undo.reset();
          setAsking(true);
        }}
      >
        {t('undo')}
      </Button>
      <ConfirmDialog
        opened={asking}
        onClose={() => {
          setAsking(false);
        }}
        title={t('undoTitle')}
        confirm={t('undoConfirm')}
        danger
        pending={undo.pending}
        onConfirm={() => {
          undo.start(undefined);
        }}
      >
        <p>{t('undoText')}</p>
        {undo.error !== null && <Problem error={undo.error} />}
      </ConfirmDialog>
    </div>
  );
}
