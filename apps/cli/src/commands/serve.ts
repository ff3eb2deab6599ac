import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { EXIT } from '@foodsave-backup/contracts/codes';
import { BackupError } from '@foodsave-backup/kernel';
import type { App } from '../app.ts';
import type { Signal } from '../interrupts.ts';

export interface ServeOptions {
  port?: number;
  host?: string;
}

/** Starts the server with this Node.js and ends as it ends. */
export async function serve(app: App, options: ServeOptions): Promise<number> {
  const { io, globals } = app;
  const entry = fileURLToPath(new URL('../../../api/dist/main.js', import.meta.url));
  if (!existsSync(entry)) {
    throw new BackupError('CONFIG_INVALID', `The server has not been built: ${entry} is missing`, {
      hint: 'Run "npm run build".',
    });
  }
  const env: NodeJS.ProcessEnv = { ...io.env };
  if (options.port !== undefined) env['PORT'] = String(options.port);
  if (options.host !== undefined) env['HOST'] = options.host;
  const args: string[] = [];
  if (globals.config !== undefined) args.push('--config', globals.config);
  if (globals.repository !== undefined) args.push('--repository', globals.repository);
  return follow(app, [entry, ...args], env);
}

async function follow(app: App, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(process.execPath, args, { stdio: 'inherit', env, cwd: app.io.cwd });
  const ended = new Promise<number>((done, failed) => {
    child.once('error', failed);
    child.once('close', (code, signal) => {
      done(code ?? (signal === null ? EXIT.failed : 128 + constants.signals[signal]));
    });
  });
  const forward = (signal: Signal): boolean => {
    // Ctrl-C on a terminal has reached the server already, as it reaches the whole foreground group.
    if (signal !== 'SIGINT' || app.io.stdin.isTTY !== true) child.kill(signal);
    return true;
  };
  return app.interrupts.handling(forward, () => ended);
}
