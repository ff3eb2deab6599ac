import type { TreeEntry } from '@foodsave-backup/contracts/types';
import { Button, Skeleton } from '@mantine/core';
import { useState, type ReactElement } from 'react';
import { useTree } from '../api/queries.ts';
import { useI18n } from '../i18n/context.tsx';
import { Icon, type IconName } from '../ui/icons.tsx';
import { useNow } from '../ui/now.ts';
import { Problem } from '../ui/problem.tsx';
import { At } from '../ui/time.tsx';

/** A directory may hold tens of thousands of files: so many rows are added at a time. */
const STEP = 100;

/** Walks through the directories of a backup, one at a time. */
export function TreeBrowser({ name }: { name: string }): ReactElement {
  const { t } = useI18n();
  const [path, setPath] = useState('');
  const { data, error, refetch } = useTree(name, path);
  return (
    <section className="card stack" aria-labelledby="contents-title">
      <h2 id="contents-title">{t('contents')}</h2>
      <Crumbs path={path} onOpen={setPath} />
      {data === undefined && error === null && <Skeleton height={160} />}
      {data === undefined && error !== null && <Problem error={error} onRetry={() => void refetch()} />}
      {data?.entries.length === 0 && <p className="small muted">{t('contentsEmpty')}</p>}
      {data !== undefined && data.entries.length > 0 && <Entries key={path} entries={data.entries} onOpen={setPath} />}
    </section>
  );
}

function Crumbs({ path, onOpen }: { path: string; onOpen: (path: string) => void }): ReactElement {
  const { t } = useI18n();
  const parts = path === '' ? [] : path.split('/');
  const crumbs = [
    { label: t('contentsTop'), path: '' },
    ...parts.map((label, index) => ({ label, path: parts.slice(0, index + 1).join('/') })),
  ];
  return (
    <nav aria-label={t('contentsPath')}>
      <ol className="crumbs">
        {crumbs.map((crumb, index) => (
          <li key={crumb.path} className="row">
            {index > 0 && <span aria-hidden="true">/</span>}
            {crumb.path === path ? (
              <span aria-current="location" className="strong">
                {crumb.label}
              </span>
            ) : (
              <button
                type="button"
                className="link-button"
                onClick={() => {
                  onOpen(crumb.path);
                }}
              >
                {crumb.label}
              </button>
            )}
          </li>
        ))}
      </ol>
    </nav>
  );
}

function Entries({ entries, onOpen }: { entries: readonly TreeEntry[]; onOpen: (path: string) => void }): ReactElement {
  const { t } = useI18n();
  const now = useNow(60_000);
  const [shown, setShown] = useState(STEP);
  return (
    <>
      <table className="cards" role="table">
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader">{t('columnName')}</th>
            <th role="columnheader">{t('columnModified')}</th>
            <th role="columnheader" className="num">
              {t('columnSize')}
            </th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {entries.slice(0, shown).map((entry) => (
            <Entry key={entry.path} entry={entry} now={now} onOpen={onOpen} />
          ))}
        </tbody>
      </table>
      {entries.length > shown && (
        <div>
          <Button
            variant="default"
            size="xs"
            onClick={() => {
              setShown(shown + STEP);
            }}
          >
            {t('showMore')}
          </Button>
        </div>
      )}
    </>
  );
}

const ICONS: Readonly<Record<TreeEntry['type'], IconName>> = {
  directory: 'folder',
  file: 'file',
  symlink: 'link',
  fifo: 'file',
};
const KINDS = { directory: 'kindFolder', file: 'kindFile', symlink: 'kindLink', fifo: 'kindPipe' } as const;

function Entry({
  entry,
  now,
  onOpen,
}: {
  entry: TreeEntry;
  now: number;
  onOpen: (path: string) => void;
}): ReactElement {
  const { t, bytes, plural } = useI18n();
  const { path, type, sizeBytes, files, modifiedAt, linkTarget } = entry;
  const label = path.slice(path.lastIndexOf('/') + 1);
  return (
    <tr role="row">
      <td role="cell" className="cell-name">
        <span className="row" style={{ flexWrap: 'nowrap' }}>
          <span className="muted" title={t(KINDS[type])}>
            <Icon name={ICONS[type]} />
            <span className="hidden-text">{t(KINDS[type])} </span>
          </span>
          {type === 'directory' ? (
            <button
              type="button"
              className="link-button"
              onClick={() => {
                onOpen(path);
              }}
            >
              {label}
            </button>
          ) : (
            <span>
              {label}
              {linkTarget !== undefined && <span className="muted"> → {linkTarget}</span>}
            </span>
          )}
        </span>
      </td>
      <td role="cell" data-label={t('columnModified')}>
        {modifiedAt === undefined || Date.parse(modifiedAt) === 0 ? '' : <At at={modifiedAt} now={now} />}
      </td>
      <td role="cell" data-label={t('columnSize')} className="num">
        <div>
          {type === 'symlink' || type === 'fifo' ? '' : bytes(sizeBytes)}
          {files !== undefined && <div className="tiny muted">{plural('runFiles', files)}</div>}
        </div>
      </td>
    </tr>
  );
}
