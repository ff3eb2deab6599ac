import type { ExitCode } from '@foodsave-backup/contracts/codes';
import { ANSWERED, type App } from '../app.ts';
import { statsText } from '../render/overview.ts';

export function stats(app: App): Promise<ExitCode> {
  return app.ask(
    (engine) => engine.stats(),
    (view) => ({ body: view, human: (style) => statsText(view, app.now(), style), exit: ANSWERED }),
  );
}
