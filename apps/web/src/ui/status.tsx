import type { Backup, BackupComponent, RunStatus } from '@foodsave-backup/contracts/types';
import type { ReactElement, ReactNode } from 'react';
import { useI18n } from '../i18n/context.tsx';
import type { MessageKey } from '../i18n/catalogue.ts';
import { Icon, type IconName } from './icons.tsx';

export type Tone = 'ok' | 'attention' | 'failed' | 'running' | 'muted';

interface Look {
  tone: Tone;
  icon: IconName;
  word: MessageKey;
}

/** Colour is never alone: an icon and a word say the same. */
export function Status({ tone, icon, children }: { tone: Tone; icon: IconName; children: ReactNode }): ReactElement {
  return (
    <span className={`status tone-${tone}`}>
      <Icon name={icon} />
      <span>{children}</span>
    </span>
  );
}

const BACKUP: Readonly<Record<Backup['status'], Look>> = {
  complete: { tone: 'ok', icon: 'ok', word: 'statusComplete' },
  partial: { tone: 'attention', icon: 'attention', word: 'statusPartial' },
  damaged: { tone: 'failed', icon: 'failed', word: 'statusDamaged' },
};

const COMPONENT: Readonly<Record<BackupComponent['status'] | 'running', Look>> = {
  complete: { tone: 'ok', icon: 'ok', word: 'componentComplete' },
  failed: { tone: 'failed', icon: 'failed', word: 'statusFailed' },
  running: { tone: 'running', icon: 'running', word: 'runRunning' },
};

const RUN: Readonly<Record<RunStatus, Look>> = {
  queued: { tone: 'muted', icon: 'waiting', word: 'runQueued' },
  running: { tone: 'running', icon: 'running', word: 'runRunning' },
  succeeded: { tone: 'ok', icon: 'ok', word: 'runSucceeded' },
  partial: { tone: 'attention', icon: 'attention', word: 'runPartial' },
  failed: { tone: 'failed', icon: 'failed', word: 'runFailed' },
  cancelled: { tone: 'muted', icon: 'stopped', word: 'runCancelled' },
  interrupted: { tone: 'attention', icon: 'attention', word: 'runInterrupted' },
};

const VERIFIED: Readonly<Record<Backup['verification']['level'], Look>> = {
  none: { tone: 'attention', icon: 'attention', word: 'verifiedNone' },
  new: { tone: 'ok', icon: 'ok', word: 'verifiedNew' },
  quick: { tone: 'attention', icon: 'unknown', word: 'verifiedQuick' },
  full: { tone: 'ok', icon: 'ok', word: 'verifiedFull' },
};
const DAMAGED: Look = { tone: 'failed', icon: 'failed', word: 'verifiedDamaged' };

function Shown({ look }: { look: Look }): ReactElement {
  const { t } = useI18n();
  return (
    <Status tone={look.tone} icon={look.icon}>
      {t(look.word)}
    </Status>
  );
}

export function BackupStatus({ status }: { status: Backup['status'] }): ReactElement {
  return <Shown look={BACKUP[status]} />;
}

export function ComponentStatus({ status }: { status: BackupComponent['status'] | 'running' }): ReactElement {
  return <Shown look={COMPONENT[status]} />;
}

export function RunStatusMark({ status }: { status: RunStatus }): ReactElement {
  return <Shown look={RUN[status]} />;
}

export function VerificationMark({ verification }: { verification: Backup['verification'] }): ReactElement {
  return <Shown look={verificationLook(verification)} />;
}

export function verificationWord(verification: Backup['verification']): MessageKey {
  return verificationLook(verification).word;
}

export function runTone(status: RunStatus): Tone {
  return RUN[status].tone;
}

export function runWord(status: RunStatus): MessageKey {
  return RUN[status].word;
}

function verificationLook({ level, status }: Backup['verification']): Look {
  return status === 'damaged' ? DAMAGED : VERIFIED[level];
}
