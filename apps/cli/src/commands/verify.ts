import type { ExitCode } from '@foodsave-backup/contracts/codes';
import type { VerifyResult } from '@foodsave-backup/engine';
import type { App } from '../app.ts';
import { verifyText } from '../render/results.ts';

export function verify(app: App, name: string, options: { quick?: boolean }): Promise<ExitCode> {
  return app.withEngine(({ engine }) =>
    app.answerRun<VerifyResult>(
      engine,
      { command: 'verify', name, level: options.quick === true ? 'quick' : 'full' },
      { human: (result) => (style) => verifyText(result, style), notes: (result) => result.notes },
    ),
  );
}
