import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BackupError, systemErrorCode } from '@foodsave-backup/kernel';
import { generateSecret, normaliseSecret } from '@foodsave-backup/format';
import type { KeyProvider } from '@foodsave-backup/engine';
import type { ResolvedConfig } from './config/index.ts';

/** The key from the environment, else from the key file, which is made (0600) when a new repository needs one. */
export function keyProvider(config: Pick<ResolvedConfig, 'encryptionKey' | 'keyFile'>): KeyProvider {
  return {
    load: async () => {
      if (config.encryptionKey !== undefined) return { secret: config.encryptionKey.reveal(), named: true };
      const secret = await readKeyFile(config.keyFile);
      return secret === undefined ? undefined : { secret, named: false };
    },
    create: () => createKeyFile(config.keyFile),
  };
}

async function readKeyFile(path: string): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT') return undefined;
    throw new BackupError('KEY_MISSING', `The key file ${path} cannot be read (${code ?? 'unknown reason'})`, {
      hint: 'Check its owner and mode: the process that makes backups must be able to read it.',
      cause: error,
    });
  }
  // Comments say what the file is; the key is what is left.
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const secret = normaliseSecret(lines.join('\n'));
  if (secret === '') {
    throw new BackupError('KEY_MISSING', `The key file ${path} is empty`, {
      hint: 'Put the key back from the copy that you keep elsewhere.',
    });
  }
  return secret;
}

/** Never replaces a file. Durable before the repository that needs it is made. */
async function createKeyFile(path: string): Promise<{ secret: string; location: string }> {
  const secret = generateSecret();
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(`${secret}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new BackupError(
      'IO_ERROR',
      `The key file ${path} cannot be made (${systemErrorCode(error) ?? 'unknown reason'})`,
      {
        hint: 'Check the directory, or name another with encryption.keyFile. No repository was made.',
        cause: error,
      },
    );
  }
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
  return { secret, location: path };
}
