import { readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BackupError, systemErrorCode } from '@foodsave-backup/kernel';
import { generateSecret, isGenerated, normaliseSecret } from '@foodsave-backup/format';
import type { KeyProvider, KeyRotation } from '@foodsave-backup/engine';
import type { ResolvedConfig } from './config/index.ts';
import { syncDirectory, writePrivateFile } from './private-file.ts';

/** The key from the environment, else from the key file, which is made (0600) when a new repository needs one. */
export function keyProvider(config: Pick<ResolvedConfig, 'encryptionKey' | 'keyFile'>): KeyProvider {
  return {
    load: async () => {
      if (config.encryptionKey !== undefined) return { secret: config.encryptionKey.reveal(), named: true };
      const secret = await readKeyFile(config.keyFile);
      return secret === undefined ? undefined : { secret, named: false };
    },
    create: () => createKeyFile(config.keyFile),
    ...(config.encryptionKey === undefined ? { rotation: keyFileRotation(config.keyFile) } : {}),
  };
}

/** Beside the key file lie, while it goes on, the secret to come and then the one that was. */
function keyFileRotation(path: string): KeyRotation {
  const next = `${path}.rotation-new`;
  const old = `${path}.rotation-old`;
  return {
    location: path,
    next: async () =>
      (await generatedIn(next)) ?? newKeyFile(next, 'Check the directory of the key file. No key was changed.'),
    activate: async () => {
      const secret = await readKeyFile(path);
      const kept = await readKeyFile(old);
      if (secret === undefined) throw new BackupError('KEY_MISSING', `The key file ${path} has vanished meanwhile`);
      if (kept === undefined) {
        await writePrivateFile(old, `${secret}\n`, 'The copy of the key file', 'Both secrets open the repository.');
      } else if (kept !== secret) {
        throw new BackupError('IO_ERROR', `${old} is in the way: it holds another secret`, {
          hint: 'Move it elsewhere, then try again. Both secrets open the repository.',
        });
      }
      await rename(next, path);
      await syncDirectory(dirname(path));
    },
    retired: () => generatedIn(old),
    finish: async () => {
      await rm(old, { force: true });
      await syncDirectory(dirname(path));
    },
  };
}

/** The secret in a file that a rotation made. Throws IO_ERROR when somebody else made it. */
async function generatedIn(path: string): Promise<string | undefined> {
  const secret = await readKeyFile(path);
  if (secret === undefined || isGenerated(secret)) return secret;
  throw new BackupError('IO_ERROR', `${path} is in the way: it holds no generated secret`, {
    hint: 'Move it elsewhere, then try again. No key was changed.',
  });
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
