import type { ReactElement } from 'react';
import { useBackups, useRun, useRuns } from '../api/queries.ts';
import { isDryRun } from '../domain/run-result.ts';
import { useI18n } from '../i18n/context.tsx';
import { isFinished } from '../live/tracked-run.ts';
import { RunCard } from '../run/run-card.tsx';
import { useTitle } from '../ui/page.tsx';
import { Activity } from './activity.tsx';
import { BackupsSection } from './backups-section.tsx';
import { HealthPanel } from './health-panel.tsx';
import { StatsPanel } from './stats-panel.tsx';
import { VerdictBanner } from './verdict-banner.tsx';

export function OverviewPage(): ReactElement {
  const { t } = useI18n();
  useTitle(t('overview'));
  const { data } = useBackups();
  const empty = data?.pages[0]?.total === 0;
  return (
    <>
      <VerdictBanner withActions={!empty} />
      <ActiveRuns />
      <div className="columns">
        <BackupsSection />
        <div className="stack stack-l">
          <HealthPanel />
          <StatsPanel />
          <Activity />
        </div>
      </div>
    </>
  );
}

function ActiveRuns(): ReactElement | null {
  const { data = [] } = useRuns();
  const active = data.filter((run) => !isFinished(run.status));
  // The newest one stays a while after its end: who started it wants to see how it ended.
  const [newest] = data;
  const shown = active.length === 0 && newest !== undefined ? [newest] : active;
  if (shown.length === 0) return null;
  return (
    <>
      {shown.map(({ id }) => (
        <ActiveRun key={id} id={id} />
      ))}
    </>
  );
}

/** How long the end of a run stays on the overview. */
const LINGER_MS = 30_000;

function ActiveRun({ id }: { id: string }): ReactElement | null {
  const { data: tracked, dataUpdatedAt } = useRun(id);
  if (tracked === undefined || isDryRun(tracked.run, tracked.journal)) return null;
  const { finishedAt } = tracked.run;
  const ended = finishedAt === undefined ? undefined : Date.parse(finishedAt);
  if (ended !== undefined && dataUpdatedAt - ended > LINGER_MS) return null;
  return <RunCard tracked={tracked} />;
}
