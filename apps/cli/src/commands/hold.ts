import type { ExitCode } from '@foodsave-backup/contracts/codes';
import type { HoldRequest } from '@foodsave-backup/engine';
import { ANSWERED, type App } from '../app.ts';
import { visible } from '../render/text.ts';

export function hold(app: App, name: string, request: HoldRequest): Promise<ExitCode> {
  return app.withEngine(async ({ engine }) => {
    const backup = await engine.hold(name, request);
    const what = backup.hold ? 'is held: nothing deletes it' : 'is not held: retention decides';
    const why = backup.holdReason === undefined ? '' : ` (${visible(backup.holdReason)})`;
    return app.out.answer({
      body: backup,
      human: (style) => `${style.bold(visible(backup.name))} ${what}${why}.`,
      exit: ANSWERED,
    });
  });
}
