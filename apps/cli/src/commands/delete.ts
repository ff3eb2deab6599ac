import type { ExitCode } from '@foodsave-backup/contracts/codes';
import type { DeleteResult } from '@foodsave-backup/engine';
import type { App } from '../app.ts';
import { assertConfirmable, confirm } from '../confirm.ts';
import { createdText } from '../render/backup.ts';
import { deletedText } from '../render/results.ts';

export async function deleteBackup(app: App, name: string, options: { yes?: boolean }): Promise<ExitCode> {
  assertConfirmable(app.io, options.yes, 'This deletes a backup for good');
  return app.withEngine(async ({ engine }) => {
    if (options.yes !== true) {
      const backup = await engine.show(name);
      app.out.aside(`${createdText(backup, app.now(), app.out.errorStyle)}\n`);
      await confirm(app.io, 'Delete this backup for good?');
    }
    return app.answerRun<DeleteResult>(
      engine,
      { command: 'delete', name },
      { human: (result) => (style) => deletedText(result, style) },
    );
  });
}
