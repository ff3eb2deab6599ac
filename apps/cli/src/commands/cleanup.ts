import type { ExitCode } from '@foodsave-backup/contracts/codes';
import type { CleanupResult } from '@foodsave-backup/engine';
import type { App } from '../app.ts';
import type { RateOptions } from '../options.ts';
import { cleanupText } from '../render/results.ts';

export function cleanup(app: App, options: { dryRun?: boolean } & RateOptions): Promise<ExitCode> {
  const { dryRun, ...rates } = options;
  return app.withEngine(
    ({ engine }) =>
      app.answerRun<CleanupResult>(
        engine,
        { command: 'cleanup', ...(dryRun === true ? { dryRun: true } : {}) },
        { human: (result) => (style) => cleanupText(result, style) },
      ),
    rates,
  );
}
