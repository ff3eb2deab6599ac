import type { RunCommand } from '@foodsave-backup/contracts/types';
import { Button } from '@mantine/core';
import { useState, type ReactElement } from 'react';
import { api } from '../api/endpoints.ts';
import { useAction } from '../api/mutations.ts';
import { useOffline } from '../api/queries.ts';
import { useI18n } from '../i18n/context.tsx';
import type { MessageKey } from '../i18n/catalogue.ts';
import { ConfirmDialog } from '../ui/dialog.tsx';
import { Problem } from '../ui/problem.tsx';

const CONSEQUENCE: Readonly<Partial<Record<RunCommand, MessageKey>>> = {
  create: 'runStopCreate',
  restore: 'runStopRestore',
  undo: 'runStopRestore',
};

/** Asks first, and says what stopping means. */
export function StopButton({ id, command }: { id: string; command: RunCommand }): ReactElement {
  const { t } = useI18n();
  const [asking, setAsking] = useState(false);
  const [stopping, setStopping] = useState(false);
  const offline = useOffline();
  const cancel = useAction(api.cancel, () => {
    setAsking(false);
    setStopping(true);
  });
  return (
    <>
      <Button
        variant="default"
        size="xs"
        disabled={stopping || offline}
        onClick={() => {
          setAsking(true);
        }}
      >
        {t(stopping ? 'runStopping' : 'runStop')}
      </Button>
      <ConfirmDialog
        opened={asking}
        onClose={() => {
          setAsking(false);
        }}
        title={t('runStopTitle')}
        cancel={t('runStopKeep')}
        confirm={t('runStop')}
        danger
        pending={cancel.pending}
        onConfirm={() => {
          cancel.start(id);
        }}
      >
        <p>{t(CONSEQUENCE[command] ?? 'runStopOther')}</p>
        {cancel.error !== null && <Problem error={cancel.error} />}
      </ConfirmDialog>
    </>
  );
}
