import { Skeleton } from '@mantine/core';
import type { ReactElement } from 'react';
import { useBackups, useRuns } from '../api/queries.ts';
import { judge, type Judgement, type Reason, type Verdict } from '../domain/verdict.ts';
import type { I18n } from '../i18n/i18n.ts';
import type { MessageKey } from '../i18n/catalogue.ts';
import { useI18n } from '../i18n/context.tsx';
import { Icon, type IconName } from '../ui/icons.tsx';
import { useNow } from '../ui/now.ts';
import { verificationWord, type Tone } from '../ui/status.tsx';
import { CreateButton } from './create-button.tsx';

const LOOK: Readonly<Record<Verdict, { tone: Tone; icon: IconName; word: MessageKey }>> = {
  // Not green: that is for a page that knows of a key and a copy elsewhere.
  backedUp: { tone: 'muted', icon: 'ok', word: 'verdictBackedUp' },
  atRisk: { tone: 'attention', icon: 'attention', word: 'verdictAtRisk' },
  notProtected: { tone: 'failed', icon: 'failed', word: 'verdictNotProtected' },
  unknown: { tone: 'muted', icon: 'unknown', word: 'verdictUnknown' },
};

const REASONS: Readonly<Record<Exclude<Reason, 'otherDamaged'>, MessageKey>> = {
  fine: 'reasonFine',
  none: 'reasonNone',
  noComplete: 'reasonNoComplete',
  partial: 'reasonPartial',
  damaged: 'reasonDamaged',
  unverified: 'reasonUnverified',
  quickOnly: 'reasonQuickOnly',
  old: 'reasonOld',
  failed: 'reasonFailed',
  stale: 'reasonStale',
  noNews: 'reasonNoNews',
};

function sentence({ t, plural, relative }: I18n, { reason, newest, at, count = 0 }: Judgement, now: number): string {
  const when = at === undefined ? '' : relative(at, now);
  if (reason === 'otherDamaged') return plural('reasonOtherDamaged', count, { when });
  const verification = newest === undefined ? '' : t(verificationWord(newest.verification));
  return t(REASONS[reason], { when, verification });
}

/** Whether the application is protected right now, and what that is concluded from. */
export function VerdictBanner({ withActions }: { withActions: boolean }): ReactElement {
  const i18n = useI18n();
  const { t, dateTime } = i18n;
  const now = useNow(5000);
  const { data, dataUpdatedAt, isPending } = useBackups();
  const { data: runs = [] } = useRuns();
  if (isPending) return <Loading />;
  const backups = data?.pages.flatMap((page) => page.items);
  // The answer may be younger than the last tick.
  const judgement = judge({ backups, runs, updatedAt: dataUpdatedAt, now: Math.max(now, dataUpdatedAt) });
  const { tone, icon, word } = LOOK[judgement.verdict];
  const { newest } = judgement;
  return (
    <section className="card verdict" aria-labelledby="page-title" data-verdict={judgement.verdict}>
      <span className={`verdict-icon tone-${tone}`}>
        <Icon name={icon} />
      </span>
      <div>
        <h1 id="page-title" tabIndex={-1} className={`tone-${tone}`}>
          {t(word)}
        </h1>
        <p>{sentence(i18n, judgement, Math.max(now, dataUpdatedAt))}</p>
        {newest !== undefined && judgement.verdict !== 'unknown' && (
          <p className="small muted">{t('lossNow', { time: dateTime(Date.parse(newest.createdAt), now) })}</p>
        )}
        {judgement.verdict === 'backedUp' && <p className="small muted">{t('keepElsewhere')}</p>}
      </div>
      {withActions && (
        <div className="verdict-actions">
          <CreateButton />
        </div>
      )}
    </section>
  );
}

function Loading(): ReactElement {
  const { t } = useI18n();
  return (
    <section className="card verdict" aria-busy="true">
      <Skeleton height={40} width={40} circle />
      <div className="stack">
        <h1 id="page-title" tabIndex={-1} className="hidden-text">
          {t('verdictLoading')}
        </h1>
        <Skeleton height={28} width="40%" />
        <Skeleton height={16} width="70%" />
      </div>
      <Skeleton height={42} width={200} />
    </section>
  );
}
