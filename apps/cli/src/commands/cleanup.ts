import type { ExitCode } from '@foodsave-backup/contracts/codes';
import type { CleanupResult } from '@foodsave-backup/engine';
import type { App } from '../app.ts';
import { cleanupText } from '../render/results.ts';

export function cleanup(app: App, options: { dryRun?: boolean }): Promise<ExitCode> {
  return app.withEngine(({ engine }) =>
    app.answerRun<CleanupResult>(
      engine,
      { command: 'cleanup', ...(options.dryRun === true ? { dryRun: true } : {}) },
      { human: (result) => (style) => cleanupText(result, style) },
    ),
  );
}
