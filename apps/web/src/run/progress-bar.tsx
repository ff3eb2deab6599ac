import type { ReactElement } from 'react';
import { useI18n } from '../i18n/context.tsx';
import { fractionOf, isFinished, type TrackedRun } from '../live/tracked-run.ts';
import { runTone } from '../ui/status.tsx';
import { componentName, phaseWord } from '../ui/words.ts';

/** The bar of the present phase, with its percentage in words beside it. */
export function ProgressBar({ tracked }: { tracked: TrackedRun }): ReactElement {
  const i18n = useI18n();
  const { t, percent } = i18n;
  const { status, progress } = tracked.run;
  const fraction = fractionOf(tracked);
  const where = [
    progress === undefined ? undefined : phaseWord(i18n, progress.phase),
    progress?.component === undefined ? undefined : componentName(i18n, progress.component),
  ].filter((word) => word !== undefined);
  return (
    <div className="stack" style={{ gap: 6 }}>
      <div className="row spread small">
        <span>{isFinished(status) ? '' : where.join(' · ')}</span>
        <span className="strong" data-testid="percent">
          {fraction === undefined ? '' : percent(fraction)}
        </span>
      </div>
      <div
        className="bar"
        role="progressbar"
        aria-label={t('runProgress')}
        aria-valuemin={0}
        aria-valuemax={100}
        {...(fraction === undefined ? {} : { 'aria-valuenow': Math.floor(fraction * 100) })}
        data-tone={runTone(status)}
      >
        <div style={{ width: `${(fraction ?? 0) * 100}%` }} />
      </div>
    </div>
  );
}
