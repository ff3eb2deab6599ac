import { readFile } from 'node:fs/promises';
import { BackupError } from '@foodsave-backup/kernel';

/** `recover.mjs` and `RECOVERY.md`, which are put into each repository. They are built beside the libraries. */
export async function recoveryFiles(): Promise<Readonly<Record<string, Uint8Array>>> {
  const tool = new URL('../../../tools/recover/', import.meta.url);
  try {
    return {
      'recover.mjs': await readFile(new URL('dist/recover.mjs', tool)),
      'RECOVERY.md': await readFile(new URL('RECOVERY.md', tool)),
    };
  } catch (error) {
    throw new BackupError('INTERNAL', 'recover.mjs has not been built', { hint: 'Run "npm run setup".', cause: error });
  }
}
