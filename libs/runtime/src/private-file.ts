import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BackupError, systemErrorCode } from '@foodsave-backup/kernel';
import type { ResolvedConfig } from './config/index.ts';
import { layoutProblems } from './config/paths.ts';

/** Throws TARGET_INVALID for a file (absolute) in the repository or in what is backed up: the backups would hold their own key. */
export async function assertSecretPlace(config: ResolvedConfig, file: string): Promise<void> {
  const { baseDir, repositoryPath, stateDir, logFile, components } = config;
  const layout = { baseDir, repositoryPath, stateDir, keyFiles: [file], logFile, components };
  const [problem] = await layoutProblems(layout);
  if (problem === undefined) return;
  throw new BackupError('TARGET_INVALID', `A secret must not go to ${file}: ${problem.key} ${problem.reason}`, {
    hint: 'Name a file outside the repository and outside everything that is backed up.',
  });
}

/** Writes a file that only its owner reads (0600), durably. Never replaces one. `hint`: what to do when it cannot be made. */
export async function writePrivateFile(path: string, text: string, what: string, hint: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = systemErrorCode(error) ?? 'unknown reason';
    throw new BackupError('IO_ERROR', `${what} ${path} cannot be made (${code})`, { hint, cause: error });
  }
  await syncDirectory(dirname(path));
}

/** Makes durable what was made, renamed or removed in a directory. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
