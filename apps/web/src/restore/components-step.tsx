import type { Backup } from '@foodsave-backup/contracts/types';
import { Checkbox } from '@mantine/core';
import type { ReactElement } from 'react';
import { useI18n } from '../i18n/context.tsx';
import { componentName } from '../ui/words.ts';
import { chosenOf, type Wizard } from './wizard.ts';

interface StepProps {
  backup: Backup;
  wizard: Wizard;
  onChange: (part: Partial<Wizard>) => void;
}

export function ComponentsStep({ backup, wizard, onChange }: StepProps): ReactElement {
  const i18n = useI18n();
  const { t, plural, bytes } = i18n;
  const all = Object.keys(backup.components);
  const chosen = chosenOf(all, wizard.left);
  return (
    <Checkbox.Group
      label={t('restoreWhat')}
      labelProps={{ style: { fontSize: '1.25rem', fontWeight: 600, marginBottom: 12 } }}
      value={chosen}
      onChange={(values) => {
        onChange({ left: chosenOf(all, values) });
      }}
      error={chosen.length === 0 ? t('createNothing') : undefined}
    >
      <div className="stack">
        {Object.entries(backup.components).map(([instance, { status, files, sizeBytes }]) => (
          <Checkbox
            key={instance}
            value={instance}
            disabled={status !== 'complete'}
            label={componentName(i18n, instance)}
            description={
              status === 'complete' ? `${plural('runFiles', files)} · ${bytes(sizeBytes)}` : t('statusFailed')
            }
          />
        ))}
      </div>
    </Checkbox.Group>
  );
}
