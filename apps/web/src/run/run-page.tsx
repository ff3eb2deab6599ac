import { Skeleton } from '@mantine/core';
import type { ReactElement, ReactNode } from 'react';
import { useJournal, useRun } from '../api/queries.ts';
import { backupNameOf } from '../domain/run-result.ts';
import { useI18n } from '../i18n/context.tsx';
import {
  componentsOf,
  isFinished,
  rateOf,
  timeLeftOf,
  warningsOf,
  type TrackedRun,
  type Warning,
} from '../live/tracked-run.ts';
import { Link } from '../routing/navigation.tsx';
import { useNow } from '../ui/now.ts';
import { PageHead } from '../ui/page.tsx';
import { ErrorNote, Problem } from '../ui/problem.tsx';
import { ComponentStatus, RunStatusMark, runWord } from '../ui/status.tsx';
import { At } from '../ui/time.tsx';
import { commandWord, componentName } from '../ui/words.ts';
import { Phases } from './phases.tsx';
import { ProgressBar } from './progress-bar.tsx';
import { RunResultView } from './run-result-view.tsx';
import { StopButton } from './stop-button.tsx';

export function RunPage({ id }: { id: string }): ReactElement {
  const { t } = useI18n();
  const { data: tracked, error, refetch } = useRun(id);
  useJournal(id, tracked !== undefined);
  if (tracked !== undefined) return <KnownRun tracked={tracked} />;
  if (error !== null) {
    return (
      <PageHead title={t('runUnknownTitle')}>
        <div className="card">
          <Problem error={error} onRetry={() => void refetch()} />
        </div>
      </PageHead>
    );
  }
  return (
    <PageHead title={t('loading')}>
      <Skeleton height={240} />
    </PageHead>
  );
}

function KnownRun({ tracked }: { tracked: TrackedRun }): ReactElement {
  const i18n = useI18n();
  const { t } = i18n;
  const { run } = tracked;
  const { id, command, status, error } = run;
  const done = isFinished(status);
  const name = backupNameOf(tracked);
  return (
    <>
      <PageHead title={commandWord(i18n, command)}>
        <div className="row spread">
          <div className="row" role="status" data-status={status}>
            <RunStatusMark status={status} />
            {name !== undefined && <Link to={{ page: 'backup', name }}>{name}</Link>}
          </div>
          {!done && <StopButton id={id} command={command} />}
        </div>
      </PageHead>
      <section className="card stack stack-l" aria-label={t('runProgress')}>
        {(!done || status === 'succeeded') && <ProgressBar tracked={tracked} />}
        <Phases tracked={tracked} />
        <Figures tracked={tracked} />
        {!done && <p className="small muted">{status === 'queued' ? t('runWaiting') : t('runClose')}</p>}
        {done && error !== undefined && <ErrorNote error={error} title={t(runWord(status))} />}
        {done && <RunResultView run={run} />}
      </section>
      <Components tracked={tracked} />
      <Warnings warnings={warningsOf(tracked)} />
    </>
  );
}

function Figures({ tracked }: { tracked: TrackedRun }): ReactElement {
  const { t, plural, bytes, duration } = useI18n();
  const now = useNow(1000);
  const { startedAt, finishedAt, progress, status } = tracked.run;
  const done = isFinished(status);
  const rate = done ? undefined : rateOf(tracked);
  const left = done ? undefined : timeLeftOf(tracked);
  const started = Date.parse(startedAt);
  const ended = finishedAt === undefined ? Math.max(now, started) : Date.parse(finishedAt);
  return (
    <dl className="facts">
      <Figure term={t('runStarted')}>
        <At at={startedAt} now={now} />
      </Figure>
      <Figure term={t('runDuration')}>{duration(ended - started)}</Figure>
      {!done && progress !== undefined && (
        <Figure term={t('runDone')}>
          {progress.totalBytes === undefined
            ? bytes(progress.doneBytes)
            : t('runOf', { done: bytes(progress.doneBytes), total: bytes(progress.totalBytes) })}
          {progress.doneFiles > 0 && <div className="tiny muted">{plural('runFiles', progress.doneFiles)}</div>}
        </Figure>
      )}
      {progress?.storedBytes !== undefined && <Figure term={t('runStored')}>{bytes(progress.storedBytes)}</Figure>}
      {rate !== undefined && <Figure term={t('runRate')}>{t('runRateValue', { size: bytes(rate) })}</Figure>}
      {left !== undefined && <Figure term={t('runLeft')}>{t('runLeftValue', { time: duration(left) })}</Figure>}
      {!done && progress?.current !== undefined && (
        <Figure term={t('runCurrent')}>
          <span className="mono">{progress.current}</span>
        </Figure>
      )}
    </dl>
  );
}

function Figure({ term, children }: { term: string; children: ReactNode }): ReactElement {
  return (
    <div>
      <dt>{term}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Components({ tracked }: { tracked: TrackedRun }): ReactElement | null {
  const i18n = useI18n();
  const { t } = i18n;
  const states = [...componentsOf(tracked)];
  if (states.length === 0) return null;
  // A component that was under way when the run ended did not come to its own end.
  const ended = isFinished(tracked.run.status);
  return (
    <section className="card stack" aria-labelledby="components-title">
      <h2 id="components-title">{t('runComponents')}</h2>
      <ul className="stack">
        {states.map(([instance, state]) => (
          <li key={instance} className="row spread">
            <span>{componentName(i18n, instance)}</span>
            <ComponentStatus status={ended && state === 'running' ? 'failed' : state} />
          </li>
        ))}
      </ul>
    </section>
  );
}

/** So many warnings are shown. */
const SHOWN = 200;

function Warnings({ warnings }: { warnings: readonly Warning[] }): ReactElement | null {
  const i18n = useI18n();
  const { t, plural, locale } = i18n;
  if (warnings.length === 0) return null;
  const more = warnings.length - SHOWN;
  return (
    <section className="card stack" aria-labelledby="warnings-title">
      <h2 id="warnings-title">{t('runWarnings')}</h2>
      <p className="small muted">{plural('runWarningsCount', warnings.length)}</p>
      <ul className="stack">
        {warnings.slice(0, SHOWN).map(({ seq, component, message, path, code }) => (
          <li key={seq} className="small">
            <div lang={locale === 'en' ? undefined : 'en'}>{message}</div>
            <div className="tiny muted">
              {component !== undefined && `${componentName(i18n, component)} · `}
              {path !== undefined && `${path} · `}
              {t('errorCode', { code })}
            </div>
          </li>
        ))}
        {more > 0 && <li className="small muted">{plural('previewMore', more)}</li>}
      </ul>
    </section>
  );
}
