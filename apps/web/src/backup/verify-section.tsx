import type { Backup } from '@foodsave-backup/contracts/types';
import { Button } from '@mantine/core';
import type { ReactElement } from 'react';
import { api } from '../api/endpoints.ts';
import { useRunAction } from '../api/mutations.ts';
import { useOffline, useRun, useRuns } from '../api/queries.ts';
import { backupNameOf } from '../domain/run-result.ts';
import { useI18n } from '../i18n/context.tsx';
import { isFinished } from '../live/tracked-run.ts';
import { RunCard } from '../run/run-card.tsx';
import { Problem } from '../ui/problem.tsx';

/** Bytes a second that a full verification is expected to read, for the estimate before it starts. */
const EXPECTED_RATE = 100_000_000;

export function VerifySection({ backup }: { backup: Backup }): ReactElement {
  const { t, bytes, duration } = useI18n();
  const { name, sizeBytes } = backup;
  const offline = useOffline();
  const verify = useRunAction((level: 'quick' | 'full') => api.verify(name, level));
  const { data: runs = [] } = useRuns();
  // Also one that was started elsewhere, or before this page was loaded again.
  const candidate = verify.runId ?? runs.find((run) => run.command === 'verify' && !isFinished(run.status))?.id;
  const seconds = Math.max(1, Math.ceil(sizeBytes / EXPECTED_RATE));
  const disabled = verify.pending || offline;
  return (
    <section className="card stack stack-l" aria-labelledby="verify-title">
      <h2 id="verify-title">{t('factVerification')}</h2>
      <div className="grid-cards">
        <div className="stack">
          <p className="small muted" id="verify-quick-hint">
            {t('verifyQuickHint')}
          </p>
          <div>
            <Button
              variant="default"
              disabled={disabled}
              aria-describedby="verify-quick-hint"
              onClick={() => {
                verify.start('quick');
              }}
            >
              {t('verifyQuick')}
            </Button>
          </div>
        </div>
        <div className="stack">
          <p className="small muted" id="verify-full-hint">
            {t('verifyFullHint', { size: bytes(sizeBytes), time: duration(seconds * 1000) })}
          </p>
          <div>
            <Button
              variant="default"
              disabled={disabled}
              aria-describedby="verify-full-hint"
              onClick={() => {
                verify.start('full');
              }}
            >
              {t('verifyFull')}
            </Button>
          </div>
        </div>
      </div>
      {verify.error !== null && <Problem error={verify.error} />}
      {candidate !== undefined && <VerifyRun id={candidate} name={name} own={candidate === verify.runId} />}
    </section>
  );
}

function VerifyRun({ id, name, own }: { id: string; name: string; own: boolean }): ReactElement | null {
  const { data: tracked } = useRun(id);
  if (tracked === undefined || (!own && backupNameOf(tracked) !== name)) return null;
  return <RunCard tracked={tracked} />;
}
