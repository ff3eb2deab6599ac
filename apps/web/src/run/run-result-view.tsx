import type { RestoreResult, Run, VerifyResult } from '@foodsave-backup/contracts/types';
import type { ReactElement } from 'react';
import { resultOf } from '../domain/run-result.ts';
import { useI18n } from '../i18n/context.tsx';
import { Link } from '../routing/navigation.tsx';
import { Notice } from '../ui/problem.tsx';
import { componentName } from '../ui/words.ts';
import { UndoButton } from './undo-button.tsx';

/** So many entries of a list of damages are shown. */
const SHOWN = 100;

/** What a run that has ended brought. */
export function RunResultView({ run }: { run: Run }): ReactElement | null {
  const { t, plural, bytes } = useI18n();
  const found = resultOf(run);
  const fine = run.status === 'succeeded';
  switch (found.kind) {
    case 'backup':
      return (
        <Notice
          tone={fine ? 'ok' : 'attention'}
          icon={fine ? 'ok' : 'attention'}
          title={t('resultBackup', { name: found.name })}
        >
          <Notes notes={found.notes} />
          <p>
            <Link to={{ page: 'backup', name: found.name }}>{t('resultOpen')}</Link>
          </p>
        </Notice>
      );
    case 'restore':
      return <Restored result={found.result} fine={fine} />;
    case 'verify':
      return <Verified result={found.result} />;
    case 'cleanup': {
      const { deleted, freedBytes } = found.result;
      const title = plural('cleanupDone', deleted.length, { size: bytes(freedBytes) });
      return <Notice tone="ok" icon="ok" title={title} />;
    }
    case 'none':
      return fine && run.command === 'delete' ? <Notice tone="ok" icon="ok" title={t('resultDelete')} /> : null;
  }
}

function Notes({ notes }: { notes: readonly string[] }): ReactElement {
  const { locale } = useI18n();
  return (
    <>
      {[...new Set(notes)].map((note) => (
        <p key={note} className="small" lang={locale === 'en' ? undefined : 'en'}>
          {note}
        </p>
      ))}
    </>
  );
}

function Restored({ result, fine }: { result: RestoreResult; fine: boolean }): ReactElement {
  const i18n = useI18n();
  const { t, plural } = i18n;
  const { name, target, failed, undo, components } = result;
  const tone = fine && failed.length === 0 ? 'ok' : 'attention';
  const title = target === undefined ? t('resultRestoredLive', { name }) : t('resultRestoredTo', { name, target });
  return (
    <Notice tone={tone} icon={tone} title={title}>
      <ul className="small">
        {Object.entries(components).map(([instance, { files, notes }]) => (
          <li key={instance}>
            {componentName(i18n, instance)}: {plural('runFiles', files)}
            <Notes notes={notes} />
          </li>
        ))}
      </ul>
      {failed.length > 0 && (
        <Entries
          title={plural('resultMissed', failed.length)}
          entries={failed.map(({ path, message }) => ({ path, reason: message }))}
        />
      )}
      {undo !== undefined && (
        <>
          <p>{t('resultUndo', { name: undo })}</p>
          <UndoButton />
        </>
      )}
    </Notice>
  );
}

function Verified({ result }: { result: VerifyResult }): ReactElement {
  const { t, plural, bytes } = useI18n();
  const { name, status, damaged, checkedBytes, notes } = result;
  if (status === 'ok') {
    return (
      <Notice tone="ok" icon="ok" title={t('resultVerifyOk', { name })}>
        {checkedBytes > 0 && <p>{t('resultVerifyRead', { size: bytes(checkedBytes) })}</p>}
        <Notes notes={notes} />
      </Notice>
    );
  }
  return (
    <Notice tone="failed" icon="failed" title={plural('resultVerifyDamaged', damaged.length, { name })}>
      <Entries title={t('statusDamaged')} entries={damaged} />
      <Notes notes={notes} />
    </Notice>
  );
}

function Entries({
  title,
  entries,
}: {
  title: string;
  entries: readonly { path: string; reason: string }[];
}): ReactElement {
  const { plural, locale } = useI18n();
  const more = entries.length - SHOWN;
  return (
    <div>
      <p className="small">{title}</p>
      <ul className="paths" tabIndex={0} aria-label={title}>
        {entries.slice(0, SHOWN).map(({ path, reason }) => (
          <li key={`${path} ${reason}`} className="small">
            <span className="mono">{path}</span> <span lang={locale === 'en' ? undefined : 'en'}>{reason}</span>
          </li>
        ))}
        {more > 0 && <li className="small muted">{plural('previewMore', more)}</li>}
      </ul>
    </div>
  );
}
