import { readFile } from 'node:fs/promises';
import { BackupError, systemErrorCode } from '@foodsave-backup/kernel';
import { generateSecret, normaliseSecret } from '@foodsave-backup/format';
import type { KeyProvider } from '@foodsave-backup/engine';
import type { ResolvedConfig } from './config/index.ts';
import { writePrivateFile } from './private-file.ts';

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
  const secret = secretOf(text);
  if (secret === '') {
    throw new BackupError('KEY_MISSING', `The key file ${path} is empty`, {
      hint: 'Put the key back from the copy that you keep elsewhere.',
    });
  }
  return secret;
}

/** The secret in the text of a key file: comments say what the file is; the key is what is left. Empty when nothing is. */
export function secretOf(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  return normaliseSecret(lines.join('\n'));
}

/** Never replaces a file. Durable before the repository that needs it is made. */
async function createKeyFile(path: string): Promise<{ secret: string; location: string }> {
  const secret = await newKeyFile(
    path,
    'Check the directory, or name another with encryption.keyFile. No repository was made.',
  );
  return { secret, location: path };
}

/** Makes a file (0600, never replacing one) with a new generated secret, and gives the secret. */
export async function newKeyFile(path: string, hint: string): Promise<string> {
  const secret = generateSecret();
  await writePrivateFile(path, `${secret}\n`, 'The key file', hint);
  return secret;
}
