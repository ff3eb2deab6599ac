import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { useEffect, useRef, useState, type ReactElement } from 'react';
import { ApiError } from './api/client.ts';
import { BackupPage } from './backup/backup-page.tsx';
import { I18nProvider, useI18n } from './i18n/context.tsx';
import { LiveProvider } from './live/live-context.tsx';
import { OverviewPage } from './overview/overview-page.tsx';
import { RestorePage } from './restore/restore-page.tsx';
import { useRoute } from './routing/navigation.tsx';
import { pathOf } from './routing/routes.ts';
import { RunPage } from './run/run-page.tsx';
import { cssVariablesResolver, theme } from './theme.ts';
import { Header } from './ui/header.tsx';
import { OfflineBanner } from './ui/offline-banner.tsx';
import { PageHead } from './ui/page.tsx';

function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        // The server may be this very machine: whether there is an internet says nothing.
        networkMode: 'always',
        retry: (failures, error) => failures < 1 && error instanceof ApiError && error.status >= 500,
        retryDelay: 500,
        staleTime: 2000,
      },
      mutations: { networkMode: 'always' },
    },
  });
}

export function App(): ReactElement {
  const [client] = useState(createQueryClient);
  return (
    <MantineProvider theme={theme} cssVariablesResolver={cssVariablesResolver} defaultColorScheme="auto">
      <I18nProvider>
        <QueryClientProvider client={client}>
          <LiveProvider>
            <Shell />
          </LiveProvider>
        </QueryClientProvider>
      </I18nProvider>
    </MantineProvider>
  );
}

function Shell(): ReactElement {
  const { t } = useI18n();
  const route = useRoute();
  const key = route.page === 'notFound' ? '' : pathOf(route);
  const first = useRef(true);
  useEffect(() => {
    // As a loaded page would: a screen reader starts at the heading. Not at the very first, where the browser does it.
    if (!first.current) document.getElementById('page-title')?.focus({ preventScroll: true });
    first.current = false;
  }, [key]);
  return (
    <>
      <a className="skip" href="#content">
        {t('skipToContent')}
      </a>
      <Header />
      <main className="main" id="content" tabIndex={-1}>
        <OfflineBanner />
        <Page key={key} />
      </main>
    </>
  );
}

function Page(): ReactElement {
  const { t } = useI18n();
  const route = useRoute();
  switch (route.page) {
    case 'overview':
      return <OverviewPage />;
    case 'backup':
      return <BackupPage name={route.name} />;
    case 'restore':
      return <RestorePage name={route.name} />;
    case 'run':
      return <RunPage id={route.id} />;
    case 'notFound':
      return (
        <PageHead title={t('notFoundTitle')}>
          <p>{t('notFoundText')}</p>
        </PageHead>
      );
  }
}
