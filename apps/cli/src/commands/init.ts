import type { ExitCode } from '@foodsave-backup/contracts/codes';
import type { App } from '../app.ts';
import { visible } from '../render/text.ts';

interface InitResult {
  id: string;
  encrypted: boolean;
  location: string;
  keyLocation?: string;
}

export function init(app: App, options: { encryption: boolean }): Promise<ExitCode> {
  return app.withEngine(({ engine }) =>
    app.answerRun<InitResult>(
      engine,
      { command: 'init', ...(options.encryption ? {} : { encryption: false }) },
      {
        human: (result) => (style) =>
          `${style.green('✓ made')}  an ${result.encrypted ? 'encrypted' : 'unencrypted'} repository at ${visible(result.location)}`,
        notes,
      },
    ),
  );
}

function notes(result: InitResult): string[] {
  if (result.keyLocation !== undefined) {
    return [
      `Its key is in ${result.keyLocation}. Keep a copy of that file somewhere else: without it no backup can be read.`,
    ];
  }
  return result.encrypted ? [] : ['Whoever can read its files can read the backups.'];
}
