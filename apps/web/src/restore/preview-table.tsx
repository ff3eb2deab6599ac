import type { ReactElement } from 'react';
import { useI18n } from '../i18n/context.tsx';
import { componentName } from '../ui/words.ts';
import type { PreviewRow } from './wizard.ts';

/** Paths shown of each list; the counts tell the rest. */
const SHOWN = 50;

export function PreviewTable({ rows, live }: { rows: readonly PreviewRow[]; live: boolean }): ReactElement {
  const i18n = useI18n();
  const { t, number, bytes } = i18n;
  const columns = live ? (['added', 'replaced', 'deleted', 'unchanged'] as const) : (['added'] as const);
  const words = {
    added: t('previewAdded'),
    replaced: t('previewReplaced'),
    deleted: t('previewDeleted'),
    unchanged: t('previewUnchanged'),
  };
  return (
    <table className="cards" role="table">
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader">{t('columnComponents')}</th>
          {columns.map((column) => (
            <th key={column} role="columnheader" className="num">
              {words[column]}
            </th>
          ))}
          <th role="columnheader" className="num">
            {t('columnSize')}
          </th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr key={row.instance} role="row">
            <td role="cell" className="cell-name">
              {componentName(i18n, row.instance)}
              <Paths row={row} />
            </td>
            {columns.map((column) => (
              <td
                key={column}
                role="cell"
                data-label={words[column]}
                data-count={column}
                className={column === 'deleted' && row.deleted > 0 ? 'num tone-failed strong' : 'num'}
              >
                {number(row[column])}
              </td>
            ))}
            <td role="cell" data-label={t('columnSize')} className="num">
              {bytes(row.bytes)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Paths({ row }: { row: PreviewRow }): ReactElement | null {
  const i18n = useI18n();
  const { t, plural } = i18n;
  const { added, replaced, deleted } = row.paths;
  const lists = [
    { word: t('previewDeleted'), paths: deleted, count: row.deleted },
    { word: t('previewReplaced'), paths: replaced, count: row.replaced },
    { word: t('previewAdded'), paths: added, count: row.added },
  ].filter(({ paths }) => paths.length > 0);
  if (lists.length === 0) return null;
  return (
    <details>
      <summary>{t('previewPaths')}</summary>
      <div className="paths stack" tabIndex={0} role="group" aria-label={componentName(i18n, row.instance)}>
        {lists.map(({ word, paths, count }) => (
          <div key={word}>
            <p className="tiny strong">{word}</p>
            <ul>
              {paths.slice(0, SHOWN).map((path) => (
                <li key={path} className="mono">
                  {path}
                </li>
              ))}
              {count > SHOWN && (
                <li className="tiny muted">{plural('previewMore', count - Math.min(SHOWN, paths.length))}</li>
              )}
            </ul>
          </div>
        ))}
      </div>
    </details>
  );
}
