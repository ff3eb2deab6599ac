import type { ExitCode } from '@foodsave-backup/contracts/codes';
import type { DeleteResult } from '@foodsave-backup/engine';
import type { App } from '../app.ts';
import { assertConfirmable, confirm } from '../confirm.ts';
import { createdText } from '../render/backup.ts';
import { deletedText } from '../render/results.ts';
import { count } from '../render/text.ts';

export async function deleteBackups(app: App, names: readonly string[], options: { yes?: boolean }): Promise<ExitCode> {
  const [name, ...also] = new Set(names);
  if (name === undefined) throw new RangeError('No name was given');
  const which = also.length === 0 ? 'a backup' : count(also.length + 1, 'backup');
  assertConfirmable(app.io, options.yes, `This deletes ${which} for good`);
  return app.withEngine(async ({ engine }) => {
    if (options.yes !== true) {
      for (const one of [name, ...also]) {
        app.out.aside(`${createdText(await engine.show(one), app.now(), app.out.errorStyle)}\n`);
      }
      await confirm(app.io, `Delete ${also.length === 0 ? 'this backup' : `these ${which}`} for good?`);
    }
    return app.answerRun<DeleteResult>(
      engine,
      { command: 'delete', name, ...(also.length === 0 ? {} : { also }) },
      { human: (result) => (style) => deletedText(result, style) },
    );
  });
}
