import { Button } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState, type ReactElement } from 'react';
import { api } from '../api/endpoints.ts';
import { keys } from '../api/keys.ts';
import { useAction } from '../api/mutations.ts';
import { useOffline } from '../api/queries.ts';
import { useI18n } from '../i18n/context.tsx';
import { navigate } from '../routing/navigation.tsx';
import { CodeDialog } from '../ui/dialog.tsx';
import { Problem } from '../ui/problem.tsx';

export function DeleteButton({ name }: { name: string }): ReactElement {
  const { t } = useI18n();
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const offline = useOffline();
  const remove = useAction(api.remove, () => {
    navigate({ page: 'overview' });
    client.removeQueries({ queryKey: keys.backupNamed(name) });
    void client.invalidateQueries({ queryKey: keys.backups });
    void client.invalidateQueries({ queryKey: keys.stats });
  });
  return (
    <>
      <Button
        variant="outline"
        color="danger"
        disabled={offline}
        onClick={() => {
          remove.reset();
          setAsking(true);
        }}
      >
        {t('delete')}
      </Button>
      <CodeDialog
        opened={asking}
        onClose={() => {
          setAsking(false);
        }}
        title={t('deleteTitle', { name })}
        confirm={t('deleteConfirm')}
        pending={remove.pending}
        onConfirm={() => {
          remove.start(name);
        }}
      >
        <p>{t('deleteText')}</p>
        {remove.error !== null && <Problem error={remove.error} />}
      </CodeDialog>
    </>
  );
}
