import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { BackupError, systemErrorCode } from '@foodsave-backup/kernel';
import type { ResolvedConfig } from '@foodsave-backup/runtime';
import { destination, multistream, pino, stdTimeFunctions } from 'pino';
import type { Logger } from 'pino';
import { consoleStream } from './console.ts';

/** JSON lines into the log file, the same readable on standard error. Throws CONFIG_INVALID when the file cannot be written. */
export function createLogger({ logFile, logLevel }: Pick<ResolvedConfig, 'logFile' | 'logLevel'>): Logger {
  const level = logLevel === 'silent' ? 'fatal' : logLevel;
  const streams = multistream([
    { level, stream: openFile(logFile) },
    { level, stream: consoleStream(process.stderr) },
  ]);
  const options = { level: logLevel, base: null, timestamp: stdTimeFunctions.isoTime };
  return pino(options, streams);
}

function openFile(file: string): ReturnType<typeof destination> {
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    // Synchronous: what was logged is in the file, however the process ends.
    return destination({ dest: file, append: true, sync: true });
  } catch (error) {
    throw new BackupError(
      'CONFIG_INVALID',
      `The log file ${file} cannot be written (${systemErrorCode(error) ?? 'unknown reason'})`,
      {
        hint: 'Check the owner and the mode of its directory, or name another file under logging.file in backup.yaml.',
        cause: error,
      },
    );
  }
}
