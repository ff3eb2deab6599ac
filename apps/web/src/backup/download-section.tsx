import { Button } from '@mantine/core';
import type { ReactElement } from 'react';
import { archiveAddress } from '../api/endpoints.ts';
import { useI18n } from '../i18n/context.tsx';

/** Plain links: the browser saves the answer as it comes, however large, and shows a refusal in the server's words. */
export function DownloadSection({ name }: { name: string }): ReactElement {
  const { t } = useI18n();
  return (
    <section className="card stack" aria-labelledby="download-title">
      <h2 id="download-title">{t('download')}</h2>
      <p className="small muted">{t('downloadHint')}</p>
      <p className="small" id="download-open">
        {t('downloadNotEncrypted')}
      </p>
      <div className="row">
        <Button component="a" variant="default" href={archiveAddress(name, 'zip')} aria-describedby="download-open">
          {t('downloadZip')}
        </Button>
        <Button component="a" variant="default" href={archiveAddress(name, 'tar.gz')} aria-describedby="download-open">
          {t('downloadTarGz')}
        </Button>
      </div>
    </section>
  );
}
