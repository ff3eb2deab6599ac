import type { ErrorInfo } from '@foodsave-backup/contracts/types';
import { Button } from '@mantine/core';
import type { ReactElement, ReactNode } from 'react';
import { ApiError } from '../api/client.ts';
import { useI18n } from '../i18n/context.tsx';
import type { I18n } from '../i18n/i18n.ts';
import { Icon, type IconName } from './icons.tsx';
import type { Tone } from './status.tsx';

export function Notice({ tone, icon, title, children, live = false }: NoticeProps): ReactElement {
  return (
    <div className={`notice stack tone-${tone}`} role={live ? 'alert' : undefined}>
      <p className="notice-title status">
        <Icon name={icon} />
        <span>{title}</span>
      </p>
      {children}
    </div>
  );
}

interface NoticeProps {
  tone: Tone;
  icon: IconName;
  title: ReactNode;
  children?: ReactNode;
  /** Read out at once. */
  live?: boolean;
}

interface Told {
  title: string;
  why?: string | undefined;
  hint?: string | undefined;
  code?: string | undefined;
  /** The words are the server's, which are English. */
  foreign: boolean;
  parameters: readonly { parameter: string; reason: string }[];
}

function tell(error: Error, { t }: I18n): Told {
  const local = { foreign: false, parameters: [] };
  if (!(error instanceof ApiError)) return { ...local, title: t('errorUnexpected'), why: error.message };
  if (error.status === 0) {
    return { ...local, title: t('errorNetwork'), why: t('errorNetworkWhy'), hint: t('errorNetworkHint') };
  }
  const { title, detail, hint, code, errors = [] } = error.problem;
  if (title === undefined) {
    return { ...local, title: t('errorUnexpected'), why: t('errorUnexpectedWhy', { status: error.status }) };
  }
  return { title, why: detail, hint, code, foreign: true, parameters: errors };
}

/** What went wrong, why, and what to do next, where it happened. */
export function Problem({ error, onRetry }: { error: Error; onRetry?: () => void }): ReactElement {
  const i18n = useI18n();
  const { t } = i18n;
  const { title, why, hint, code, foreign, parameters } = tell(error, i18n);
  const lang = foreign && i18n.locale !== 'en' ? 'en' : undefined;
  return (
    <Notice tone="failed" icon="failed" title={<span lang={lang}>{title}</span>} live>
      {why !== undefined && <p lang={lang}>{why}</p>}
      {parameters.map(({ parameter, reason }) => (
        <p key={parameter} lang={lang}>
          <code>{parameter}</code> {reason}
        </p>
      ))}
      {hint !== undefined && <p lang={lang}>{t('errorNextStep', { hint })}</p>}
      {code !== undefined && <p className="tiny mono">{t('errorCode', { code })}</p>}
      {onRetry !== undefined && (
        <div>
          <Button variant="default" size="xs" onClick={onRetry}>
            {t('retry')}
          </Button>
        </div>
      )}
    </Notice>
  );
}

/** The error of a run or of a component. */
export function ErrorNote({ error, title }: { error: ErrorInfo; title: ReactNode }): ReactElement {
  const { t, locale } = useI18n();
  const lang = locale === 'en' ? undefined : 'en';
  return (
    <Notice tone="failed" icon="failed" title={title}>
      <p lang={lang}>{error.message}</p>
      {error.hint !== undefined && <p lang={lang}>{t('errorNextStep', { hint: error.hint })}</p>}
      <p className="tiny mono">{t('errorCode', { code: error.code })}</p>
    </Notice>
  );
}
