import { ActionIcon, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import type { ReactElement } from 'react';
import { useBackups } from '../api/queries.ts';
import { LOCALES } from '../i18n/catalogue.ts';
import { useI18n, useSetLocale } from '../i18n/context.tsx';
import { useFeedState } from '../live/live-context.tsx';
import { Link } from '../routing/navigation.tsx';
import { Icon } from './icons.tsx';
import { useNow } from './now.ts';

export function Header(): ReactElement {
  const { t } = useI18n();
  return (
    <header className="header">
      <div className="header-in">
        <Link to={{ page: 'overview' }} className="brand">
          {t('appName')}
        </Link>
        <LiveMark />
        <LanguageSwitch />
        <SchemeSwitch />
      </div>
    </header>
  );
}

/** Whether what is shown is the present: the stream's state and the age of the last answer. */
function LiveMark(): ReactElement {
  const { t, relative } = useI18n();
  const feed = useFeedState();
  const { dataUpdatedAt } = useBackups();
  const now = useNow(1000);
  const live = feed === 'live';
  const word = live ? t('live') : t(feed === 'down' ? 'reconnecting' : 'connecting');
  return (
    <span className={`live tone-${live ? 'ok' : 'attention'}`} data-feed={feed}>
      <span className="live-dot" aria-hidden="true" />
      <span>{word}</span>
      {dataUpdatedAt > 0 && (
        <span className="muted" aria-hidden="true">
          · {relative(dataUpdatedAt, now)}
        </span>
      )}
    </span>
  );
}

function LanguageSwitch(): ReactElement {
  const { t, locale } = useI18n();
  const setLocale = useSetLocale();
  return (
    <div className="toggle" role="group" aria-label={t('language')}>
      {LOCALES.map((one) => (
        <button
          key={one}
          type="button"
          aria-pressed={one === locale}
          title={t(one === 'en' ? 'languageEn' : 'languagePl')}
          onClick={() => {
            setLocale(one);
          }}
        >
          {one.toUpperCase()}
        </button>
      ))}
    </div>
  );
}

function SchemeSwitch(): ReactElement {
  const { t } = useI18n();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light', { getInitialValueInEffect: false });
  const other = scheme === 'dark' ? 'light' : 'dark';
  return (
    <ActionIcon
      variant="default"
      size={36}
      aria-label={t(other === 'dark' ? 'schemeToDark' : 'schemeToLight')}
      onClick={() => {
        setColorScheme(other);
      }}
    >
      <Icon name={scheme === 'dark' ? 'sun' : 'moon'} />
    </ActionIcon>
  );
}
