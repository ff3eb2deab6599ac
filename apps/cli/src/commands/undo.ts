import type { ExitCode } from '@foodsave-backup/contracts/codes';
import type { App } from '../app.ts';
import { restoreInPlace } from './restore.ts';

export function undo(app: App, options: { dryRun?: boolean; yes?: boolean }): Promise<ExitCode> {
  return restoreInPlace(app, { command: 'undo' }, options);
}
