import { resolve } from 'node:path';
import type { ExitCode } from '@foodsave-backup/contracts/codes';
import type { Command, Engine, RestoreResult } from '@foodsave-backup/engine';
import { BackupError } from '@foodsave-backup/kernel';
import type { App, RunRendering } from '../app.ts';
import { assertConfirmable, confirm } from '../confirm.ts';
import { planText, restoredText } from '../render/restore.ts';

export interface RestoreOptions {
  components?: string[];
  path?: string[];
  target?: string;
  inPlace?: boolean;
  dryRun?: boolean;
  yes?: boolean;
  withoutSafety?: boolean;
}

type Restoring = Extract<Command, { command: 'restore' | 'undo' }>;

export async function restore(app: App, name: string, options: RestoreOptions): Promise<ExitCode> {
  const { components, path, target, withoutSafety } = options;
  if (target === '')
    throw new BackupError('USAGE', 'The target is empty', { hint: 'Name a directory: --target ./restored' });
  const command: Restoring = {
    command: 'restore',
    name,
    ...(components === undefined ? {} : { components }),
    ...(path === undefined ? {} : { paths: path }),
    ...(withoutSafety === true ? { withoutSafety: true } : {}),
  };
  if (target === undefined) return restoreInPlace(app, command, options);
  const toTarget = {
    ...command,
    target: resolve(app.io.cwd, target),
    ...(options.dryRun === true ? { dryRun: true } : {}),
  };
  return app.withEngine(({ engine }) => app.answerRun(engine, toTarget, rendering(app)));
}

/** Replaces live data: previewed with `dryRun`, confirmed at the terminal or by `yes`. */
export async function restoreInPlace(
  app: App,
  command: Restoring,
  options: { dryRun?: boolean; yes?: boolean },
): Promise<ExitCode> {
  if (options.dryRun === true) {
    return app.withEngine(({ engine }) => app.answerRun(engine, { ...command, dryRun: true }, rendering(app)));
  }
  assertConfirmable(app.io, options.yes, 'This replaces live data');
  return app.withEngine(async ({ engine }) => {
    if (options.yes !== true) await previewAndAsk(app, engine, command);
    return app.answerRun(engine, command, rendering(app));
  });
}

async function previewAndAsk(app: App, engine: Engine, command: Restoring): Promise<void> {
  const { result } = await app.run(engine, { ...command, dryRun: true });
  app.out.aside(planText(result as RestoreResult, app.out.verbose, app.out.errorStyle));
  const safety =
    command.command === 'restore' && command.withoutSafety === true
      ? 'The present state is NOT saved first: this cannot be undone.'
      : 'The present state is saved first, so that "undo" can bring it back.';
  app.out.aside(`\n${safety}`);
  await confirm(app.io, 'Replace live data?');
}

function rendering(app: App): RunRendering<RestoreResult> {
  return {
    human: (result) => (style) =>
      result.dryRun && result.plan !== undefined
        ? planText(result, app.out.verbose, style)
        : restoredText(result, style),
  };
}
