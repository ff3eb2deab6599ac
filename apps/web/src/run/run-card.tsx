import type { ReactElement } from 'react';
import { useI18n } from '../i18n/context.tsx';
import { isFinished, timeLeftOf, type TrackedRun } from '../live/tracked-run.ts';
import { Link } from '../routing/navigation.tsx';
import { ErrorNote } from '../ui/problem.tsx';
import { RunStatusMark, runWord } from '../ui/status.tsx';
import { commandWord } from '../ui/words.ts';
import { ProgressBar } from './progress-bar.tsx';
import { RunResultView } from './run-result-view.tsx';
import { StopButton } from './stop-button.tsx';

/** A run in short, for pages that are about something else. */
export function RunCard({ tracked }: { tracked: TrackedRun }): ReactElement {
  const i18n = useI18n();
  const { t, bytes, duration } = i18n;
  const { id, command, status, progress, error } = tracked.run;
  const done = isFinished(status);
  const left = timeLeftOf(tracked);
  return (
    <section className="card stack" aria-label={commandWord(i18n, command)} data-run={id} data-status={status}>
      <div className="row spread">
        <div className="row" role="status">
          <span className="strong">{commandWord(i18n, command)}</span>
          <RunStatusMark status={status} />
        </div>
        <div className="row">
          <span className="small">
            <Link
              to={{ page: 'run', id }}
              aria-label={`${t('details')}: ${t('runTitle', { command: commandWord(i18n, command), status: t(runWord(status)) })}`}
            >
              {t('details')}
            </Link>
          </span>
          {!done && <StopButton id={id} command={command} />}
        </div>
      </div>
      {!done && <ProgressBar tracked={tracked} />}
      {!done && (
        <p className="small muted row">
          {progress?.totalBytes !== undefined && (
            <span>{t('runOf', { done: bytes(progress.doneBytes), total: bytes(progress.totalBytes) })}</span>
          )}
          {left !== undefined && <span>{t('runLeftValue', { time: duration(left) })}</span>}
          <span>{status === 'queued' ? t('runWaiting') : t('runClose')}</span>
        </p>
      )}
      {done && error !== undefined && <ErrorNote error={error} title={t(runWord(status))} />}
      {done && <RunResultView run={tracked.run} />}
    </section>
  );
}
