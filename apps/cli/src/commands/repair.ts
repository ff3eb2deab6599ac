import type { ExitCode } from '@foodsave-backup/contracts/codes';
import type { RepairResult } from '@foodsave-backup/engine';
import type { App } from '../app.ts';
import { repairText } from '../render/guarding.ts';

export function repair(app: App, what: 'index' | 'packs', options: { dryRun?: boolean }): Promise<ExitCode> {
  return app.withEngine(({ engine }) =>
    app.answerRun<RepairResult>(
      engine,
      { command: 'repair', what, ...(options.dryRun === true ? { dryRun: true } : {}) },
      { human: (result) => (style) => repairText(result, style) },
    ),
  );
}
