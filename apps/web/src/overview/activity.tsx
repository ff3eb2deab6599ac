import { Skeleton } from '@mantine/core';
import type { Run } from '@foodsave-backup/contracts/types';
import type { ReactElement } from 'react';
import { useRun, useRuns } from '../api/queries.ts';
import { isDryRun } from '../domain/run-result.ts';
import { useI18n } from '../i18n/context.tsx';
import { Link } from '../routing/navigation.tsx';
import { useNow } from '../ui/now.ts';
import { RunStatusMark } from '../ui/status.tsx';
import { Ago } from '../ui/time.tsx';
import { commandWord } from '../ui/words.ts';

const SHOWN = 6;

export function Activity(): ReactElement {
  const { t } = useI18n();
  const { data, isPending } = useRuns();
  const now = useNow(5000);
  const real = (data ?? []).filter((run) => !isDryRun(run));
  return (
    <section className="card stack" aria-labelledby="activity-title">
      <h2 id="activity-title">{t('activityTitle')}</h2>
      {isPending && <Skeleton height={80} />}
      {data !== undefined && real.length === 0 && <p className="small muted">{t('activityEmpty')}</p>}
      <ul className="stack">
        {real.slice(0, SHOWN).map((run) => (
          <Entry key={run.id} run={run} now={now} />
        ))}
      </ul>
    </section>
  );
}

function Entry({ run, now }: { run: Run; now: number }): ReactElement {
  const i18n = useI18n();
  const { data } = useRun(run.id);
  const { status, startedAt } = data?.run ?? run;
  return (
    <li>
      <div className="row spread small">
        <Link to={{ page: 'run', id: run.id }}>{commandWord(i18n, run.command)}</Link>
        <RunStatusMark status={status} />
      </div>
      <p className="tiny muted">
        <Ago at={startedAt} now={Math.max(now, Date.parse(startedAt))} />
      </p>
    </li>
  );
}
