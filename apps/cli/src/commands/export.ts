import { resolve } from 'node:path';
import { runExitCode, type ExitCode } from '@foodsave-backup/contracts/codes';
import type { Command, ExportResult } from '@foodsave-backup/engine';
import { BackupError } from '@foodsave-backup/kernel';
import type { App } from '../app.ts';
import { isTerminal } from '../io.ts';
import { exportedText } from '../render/archives.ts';

export interface ExportOptions {
  components?: string[];
  path?: string[];
  format?: 'zip' | 'tar.gz';
  output?: string;
}

const STDOUT = 1;

export async function exportBackup(app: App, name: string, options: ExportOptions): Promise<ExitCode> {
  const { components, path } = options;
  const format = options.format ?? formatOf(options.output);
  const toStdout = options.output === '-';
  if (toStdout) assertPipe(app);
  const command: Command = {
    command: 'export',
    name,
    format,
    ...(components === undefined ? {} : { components }),
    ...(path === undefined ? {} : { paths: path.map((one) => one.replace(/(?<=.)\/+$/, '')) }),
    output: toStdout ? { descriptor: STDOUT } : { file: resolve(app.io.cwd, options.output ?? `${name}.${format}`) },
  };
  return app.withEngine(async ({ engine }) => {
    const { collectEarly } = await import('@foodsave-backup/runtime');
    collectEarly();
    if (!toStdout) {
      return app.answerRun<ExportResult>(engine, command, {
        human: (result) => (style) => exportedText(result, style),
        notes: (result) => result.notes,
      });
    }
    // The archive has stdout for itself.
    const view = await app.run(engine, command);
    const result = view.result as ExportResult;
    if (!app.out.quiet) app.out.aside(exportedText(result, app.out.errorStyle));
    for (const note of result.notes) app.out.warn(note);
    return runExitCode(view.status, view.error?.code);
  });
}

function formatOf(output: string | undefined): 'zip' | 'tar.gz' {
  return output !== undefined && /\.(tar\.gz|tgz)$/i.test(output) ? 'tar.gz' : 'zip';
}

function assertPipe(app: App): void {
  if (app.out.mode !== 'human') {
    throw new BackupError('USAGE', 'The archive and a JSON document cannot both go to stdout', {
      hint: 'Give --output FILE with --json, or leave --json out.',
    });
  }
  if (isTerminal(app.io.stdout, app.io.env)) {
    throw new BackupError('USAGE', 'An archive is nothing to show on a terminal', {
      hint: 'Give --output FILE, or lead stdout into a program or a file.',
    });
  }
}
