import type { ExitCode } from '@foodsave-backup/contracts/codes';
import { ANSWERED, type App } from '../app.ts';
import { treeText } from '../render/results.ts';

export function ls(app: App, name: string, path: string, options: { component?: string }): Promise<ExitCode> {
  return app.ask(
    (engine) => engine.tree(name, path, options.component),
    (listing) => ({ body: listing, human: (style) => treeText(listing, app.now(), style), exit: ANSWERED }),
  );
}
