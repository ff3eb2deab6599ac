import { resolve } from 'node:path';
import type { ExitCode } from '@foodsave-backup/contracts/codes';
import type { ImportResult } from '@foodsave-backup/engine';
import type { App } from '../app.ts';
import type { RateOptions } from '../options.ts';
import { importedText } from '../render/archives.ts';

export interface ImportOptions extends RateOptions {
  name?: string;
  dryRun?: boolean;
}

export function importBackup(app: App, file: string, options: ImportOptions): Promise<ExitCode> {
  const { name, dryRun, ...rates } = options;
  const command = {
    command: 'import' as const,
    file: resolve(app.io.cwd, file),
    ...(name === undefined ? {} : { name }),
    ...(dryRun === true ? { dryRun } : {}),
  };
  return app.withEngine(
    ({ engine }) =>
      app.answerRun<ImportResult>(engine, command, {
        human: (result) => (style) => importedText(result, app.now(), style),
        notes: (result) => result.notes,
      }),
    rates,
  );
}
