import { Radio, TextInput } from '@mantine/core';
import type { ReactElement } from 'react';
import { useI18n } from '../i18n/context.tsx';
import type { Wizard } from './wizard.ts';

interface StepProps {
  wizard: Wizard;
  onChange: (part: Partial<Wizard>) => void;
}

export function TargetStep({ wizard, onChange }: StepProps): ReactElement {
  const { t } = useI18n();
  const { target, folder } = wizard;
  const toFolder = target === 'folder';
  return (
    <Radio.Group
      label={t('restoreWhere')}
      labelProps={{ style: { fontSize: '1.25rem', fontWeight: 600, marginBottom: 12 } }}
      value={target}
      onChange={(value) => {
        onChange({ target: value === 'live' ? 'live' : 'folder' });
      }}
    >
      <div className="stack">
        <div className="choice stack" {...(toFolder ? { 'data-chosen': '' } : {})}>
          <Radio value="folder" label={t('targetFolder')} description={t('targetFolderHint')} />
          {toFolder && (
            <TextInput
              label={t('targetPath')}
              value={folder}
              onChange={(event) => {
                onChange({ folder: event.currentTarget.value });
              }}
              error={folder.trim() === '' ? t('targetPathMissing') : undefined}
              autoComplete="off"
              spellCheck={false}
              maxLength={4096}
            />
          )}
        </div>
        <div className="choice" {...(toFolder ? {} : { 'data-chosen': '' })}>
          <Radio value="live" label={t('targetLive')} description={t('targetLiveHint')} />
        </div>
      </div>
    </Radio.Group>
  );
}
