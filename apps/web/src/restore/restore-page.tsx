import type { Backup } from '@foodsave-backup/contracts/types';
import { Button, Skeleton } from '@mantine/core';
import { useState, type ReactElement } from 'react';
import { useBackup } from '../api/queries.ts';
import { useI18n } from '../i18n/context.tsx';
import type { MessageKey } from '../i18n/catalogue.ts';
import { useLink } from '../routing/navigation.tsx';
import { Icon } from '../ui/icons.tsx';
import { useNow } from '../ui/now.ts';
import { PageHead } from '../ui/page.tsx';
import { Problem } from '../ui/problem.tsx';
import { Ago, At } from '../ui/time.tsx';
import { ComponentsStep } from './components-step.tsx';
import { PreviewStep } from './preview-step.tsx';
import { TargetStep } from './target-step.tsx';
import { STEPS, begin, obstacle, type Step, type Wizard } from './wizard.ts';

export function RestorePage({ name }: { name: string }): ReactElement {
  const { t } = useI18n();
  const { data: backup, error, refetch } = useBackup(name);
  return (
    <PageHead title={t('restoreTitle', { name })}>
      {backup !== undefined && <RestoreWizard backup={backup} />}
      {backup === undefined && error !== null && (
        <div className="card">
          <Problem error={error} onRetry={() => void refetch()} />
        </div>
      )}
      {backup === undefined && error === null && <Skeleton height={320} />}
    </PageHead>
  );
}

function RestoreWizard({ backup }: { backup: Backup }): ReactElement {
  const now = useNow(30_000);
  const [wizard, setWizard] = useState(() => begin(backup.name));
  const [confirming, setConfirming] = useState(false);
  // A component that failed is not in the backup.
  const instances = Object.entries(backup.components)
    .filter(([, { status }]) => status === 'complete')
    .map(([instance]) => instance);
  const change = (part: Partial<Wizard>): void => {
    setWizard((before) => ({ ...before, ...part }));
  };
  const blocked = obstacle(wizard, instances);
  const at = STEPS.indexOf(wizard.step);
  const go = (by: 1 | -1): void => {
    const step = STEPS[at + by];
    if (step !== undefined) change({ step });
  };
  return (
    <div className="stack" style={{ gap: 24 }}>
      <p className="muted">
        <At at={backup.createdAt} now={now} /> · <Ago at={backup.createdAt} now={now} />
      </p>
      <Steps current={confirming ? 'confirm' : wizard.step} />
      <section className="card stack stack-l">
        {wizard.step === 'components' && <ComponentsStep backup={backup} wizard={wizard} onChange={change} />}
        {wizard.step === 'target' && <TargetStep wizard={wizard} onChange={change} />}
        {wizard.step === 'preview' && (
          <PreviewStep
            backup={backup}
            wizard={wizard}
            instances={instances}
            onBack={() => {
              go(-1);
            }}
            confirming={confirming}
            onConfirming={setConfirming}
          />
        )}
        {wizard.step !== 'preview' && (
          <Buttons
            backup={backup}
            first={at === 0}
            blocked={blocked !== undefined}
            onBack={() => {
              go(-1);
            }}
            onNext={() => {
              go(1);
            }}
          />
        )}
      </section>
    </div>
  );
}

interface ButtonsProps {
  backup: Backup;
  first: boolean;
  blocked: boolean;
  onBack: () => void;
  onNext: () => void;
}

function Buttons({ backup, first, blocked, onBack, onNext }: ButtonsProps): ReactElement {
  const { t } = useI18n();
  const leave = useLink({ page: 'backup', name: backup.name });
  return (
    <div className="row">
      <Button disabled={blocked} onClick={onNext}>
        {t('next')}
      </Button>
      {first ? (
        <Button component="a" {...leave} variant="default">
          {t('cancel')}
        </Button>
      ) : (
        <Button variant="default" onClick={onBack}>
          {t('previous')}
        </Button>
      )}
    </div>
  );
}

const TITLES: Readonly<Record<Step, MessageKey>> = {
  components: 'stepComponents',
  target: 'stepTarget',
  preview: 'stepPreview',
  confirm: 'stepConfirm',
};

function Steps({ current }: { current: Step }): ReactElement {
  const { t } = useI18n();
  const at = STEPS.indexOf(current);
  return (
    <ol className="steps" aria-label={t('restoreSteps')}>
      {STEPS.map((step, index) => (
        <li
          key={step}
          {...(index === at ? { 'aria-current': 'step' as const } : {})}
          {...(index < at ? { 'data-done': '' } : {})}
        >
          <span aria-hidden="true">{index < at ? <Icon name="ok" /> : index + 1}</span>
          <span>{t(TITLES[step])}</span>
        </li>
      ))}
    </ol>
  );
}
