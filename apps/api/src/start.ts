import { parseArgs } from 'node:util';
import { BackupService, ComponentRegistry } from '@foodsave-backup/backup-nest';
import { EXIT, EXIT_CODE } from '@foodsave-backup/contracts';
import { BackupError, systemErrorCode, toBackupError } from '@foodsave-backup/kernel';
import { loadConfig } from '@foodsave-backup/runtime';
import type { ConfigSource, ResolvedConfig } from '@foodsave-backup/runtime';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Logger } from 'pino';
import { listenAddress } from './address.ts';
import { firstBackup } from './first-backup.ts';
import { createLogger } from './logging/logger.ts';
import { logRuns } from './logging/runs.ts';
import { portProblem } from './port.ts';
import { createServer } from './server.ts';
import { onStop } from './stop.ts';
import { welcome } from './welcome.ts';

/** Starts the server and comes back when it has stopped, or could not start. Gives the exit code. */
export async function start(): Promise<number> {
  try {
    const source = sourceFrom(process.argv.slice(2));
    const warnings: string[] = [];
    const config = await loadConfig({
      ...source,
      env: process.env,
      warn: (message) => {
        warnings.push(message);
      },
    });
    listenAddress(config);
    const logger = createLogger(config);
    for (const warning of warnings) logger.warn(warning);
    return await serve(config, source, logger);
  } catch (error) {
    return told(error);
  }
}

function sourceFrom(args: string[]): ConfigSource {
  const cwd = process.cwd();
  try {
    const options = { config: { type: 'string' }, repository: { type: 'string' } } as const;
    const { config, repository } = parseArgs({ args, options }).values;
    return {
      cwd,
      ...(config === undefined ? {} : { configPath: config }),
      ...(repository === undefined ? {} : { repository }),
    };
  } catch (error) {
    throw new BackupError('USAGE', error instanceof Error ? error.message : String(error), {
      hint: 'The server takes --config FILE and --repository DIR; HOST and PORT come from the environment.',
    });
  }
}

async function serve(config: ResolvedConfig, source: ConfigSource, logger: Logger): Promise<number> {
  const app = await createServer({ config, source, logger });
  const { host, url } = listenAddress(config);
  try {
    await app.listen(config.server.port, host);
  } catch (error) {
    await app.close();
    return notListening(error, config);
  }
  const stopped = onStop(app, logger);
  const backup = app.get(BackupService, { strict: false });
  logRuns(backup.runs, logger);
  logger.info(`Listening on ${url}`);
  process.stdout.write(welcome(config, url));
  await settleInterrupted(backup, logger);
  await atFirstStart(app, backup, logger);
  return stopped;
}

/** A restore that was killed is finished or undone before the application goes on from what it left. */
async function settleInterrupted(backup: BackupService, logger: Logger): Promise<void> {
  try {
    for (const done of await backup.engine.recover(backup.closing)) logger.warn(done);
  } catch (error) {
    const { code, message, hint } = toBackupError(error);
    logger.error({ code, hint }, `It is not known whether a restore was interrupted: ${message}`);
  }
}

/** What goes wrong here is logged; the server serves all the same. */
async function atFirstStart(app: NestExpressApplication, backup: BackupService, logger: Logger): Promise<void> {
  try {
    await firstBackup(backup, app.get(ComponentRegistry, { strict: false }), logger);
  } catch (error) {
    const { code, message, hint } = toBackupError(error);
    logger.error({ code, hint }, `The first backup could not be made: ${message}`);
  }
}

async function notListening(error: unknown, config: ResolvedConfig): Promise<number> {
  const { url } = listenAddress(config);
  if (systemErrorCode(error) !== 'EADDRINUSE') throw portProblem(error, config);
  if (await isOurs(url)) {
    process.stdout.write(`FoodSave Backup is already running: ${url}/backup\n`);
    return EXIT.done;
  }
  throw portProblem(error, config);
}

const ANSWER_WITHIN_MS = 2000;

/** Our server marks every answer with a header. */
async function isOurs(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health/live`, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
    await response.body?.cancel();
    return response.headers.get('x-foodsave-backup') === '1';
  } catch {
    return false;
  }
}

function told(error: unknown): number {
  const { code, message, hint, cause } = toBackupError(error);
  process.stderr.write(`Error [${code}]: ${message}\n`);
  if (hint !== undefined) process.stderr.write(`  ${hint.replaceAll('\n', '\n  ')}\n`);
  if (code === 'INTERNAL' && cause instanceof Error) process.stderr.write(`${cause.stack ?? ''}\n`);
  return EXIT_CODE[code];
}
