import type { ExitCode } from '@foodsave-backup/contracts/codes';
import { ANSWERED, type App } from '../app.ts';
import { listText } from '../render/backup.ts';

export interface ListOptions {
  limit?: number;
  cursor?: string;
  status?: string;
  component?: string;
  query?: string;
}

export function list(app: App, options: ListOptions): Promise<ExitCode> {
  const { query, ...rest } = options;
  return app.ask(
    (engine) => engine.list({ ...rest, ...(query === undefined ? {} : { q: query }) }),
    (page) => ({ body: page, human: (style) => listText(page, app.now(), style), exit: ANSWERED }),
  );
}
