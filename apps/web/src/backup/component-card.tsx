import type { BackupComponent } from '@foodsave-backup/contracts/types';
import type { ReactElement, ReactNode } from 'react';
import { countFact, numberFact, tableFacts, textFact } from '../domain/facts.ts';
import { useI18n } from '../i18n/context.tsx';
import type { I18n } from '../i18n/i18n.ts';
import type { MessageKey } from '../i18n/catalogue.ts';
import { ErrorNote } from '../ui/problem.tsx';
import { ComponentStatus } from '../ui/status.tsx';
import { componentName } from '../ui/words.ts';

const NUMBERS: readonly [string, MessageKey][] = [
  ['directories', 'factDirectories'],
  ['vectors', 'factVectors'],
  ['dimension', 'factDimension'],
  ['pageCount', 'factPages'],
  ['keys', 'factKeys'],
];
const TEXTS: readonly [string, MessageKey][] = [
  ['engine', 'factEngine'],
  ['metric', 'factMetric'],
  ['embeddingModel', 'factModel'],
  ['integrityCheck', 'factIntegrity'],
  ['newestMigration', 'factMigration'],
];

/** Facts that have a word in the catalogues, in an order of their own. */
function knownFacts({ t, number }: I18n, facts: BackupComponent['facts']): [string, string][] {
  const list: [string, string][] = [];
  for (const [key, word] of NUMBERS) {
    const value = numberFact(facts, key);
    if (value !== undefined) list.push([t(word), number(value)]);
  }
  for (const [key, word] of TEXTS) {
    const value = textFact(facts, key);
    if (value !== undefined) list.push([t(word), value]);
  }
  const redacted = countFact(facts, 'redacted');
  if (redacted !== undefined && redacted > 0) list.push([t('factRedacted'), number(redacted)]);
  return list;
}

/** One component of a backup, with what was counted on the captured bytes. */
export function ComponentCard({ instance, component }: { instance: string; component: BackupComponent }): ReactElement {
  const i18n = useI18n();
  const { t, plural, number, bytes, dateTime, fullDateTime } = i18n;
  const { status, files, sizeBytes, storedBytes, capturedAt, facts, error } = component;
  const tables = tableFacts(facts);
  const captured = capturedAt === undefined ? undefined : Date.parse(capturedAt);
  return (
    <article className="card stack">
      <div className="row spread">
        <h3>{componentName(i18n, instance)}</h3>
        <span className="small">
          <ComponentStatus status={status} />
        </span>
      </div>
      {error !== undefined && <ErrorNote error={error} title={t('statusFailed')} />}
      <dl className="pairs">
        <Pair term={t('columnSize')}>{bytes(sizeBytes)}</Pair>
        <Pair term={t('columnAdded')}>{bytes(storedBytes)}</Pair>
        <Pair term={t('factFiles')}>{number(files)}</Pair>
        {knownFacts(i18n, facts).map(([term, value]) => (
          <Pair key={term} term={term}>
            {value}
          </Pair>
        ))}
        {captured !== undefined && (
          <Pair term={t('factCaptured')}>
            <time dateTime={capturedAt} title={fullDateTime(captured)}>
              {dateTime(captured, captured)}
            </time>
          </Pair>
        )}
      </dl>
      {tables.length > 0 && (
        <details>
          <summary>{plural('factTables', tables.length)}</summary>
          <ul className="paths" tabIndex={0} aria-label={plural('factTables', tables.length)}>
            {tables.map(({ name, rows }) => (
              <li key={name} className="row spread small">
                <span className="mono">{name}</span>
                <span className="muted">{rows === undefined ? '' : plural('factRows', rows)}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </article>
  );
}

function Pair({ term, children }: { term: string; children: ReactNode }): ReactElement {
  return (
    <div>
      <dt>{term}</dt>
      <dd>{children}</dd>
    </div>
  );
}
