import type { ExitCode } from '@foodsave-backup/contracts/codes';
import { ANSWERED, type App } from '../app.ts';
import { backupText } from '../render/backup.ts';

export function show(app: App, name: string): Promise<ExitCode> {
  return app.ask(
    (engine) => engine.show(name),
    (backup) => ({ body: backup, human: (style) => backupText(backup, app.now(), style), exit: ANSWERED }),
  );
}
