import { BackupError } from '@foodsave-backup/kernel';
import {
  secureBackup,
  type BackupSession,
  type Lease,
  type Manifest,
  type Repository,
} from '@foodsave-backup/repository';
import type { RunContext } from './types.ts';

export interface Published {
  manifest: Manifest;
  bytes: Uint8Array;
}

interface SecureJob {
  repository: Repository;
  context: RunContext;
  lease: Lease;
}

/**
 * What the published backup needs of packs that a prune has written off meanwhile is stored again. Returns the components
 * for which that was too late; the manifest is then withdrawn, and so it is when this fails.
 */
export async function secure(job: SecureJob, session: BackupSession, published: Published): Promise<string[]> {
  const { repository, context, lease } = job;
  const { manifest, bytes } = published;
  try {
    const options = { relied: session.relied(), signal: context.signal };
    const { lost, unread, gone } = await secureBackup(repository, manifest, options);
    if (unread) {
      throw new BackupError('IO_ERROR', 'The backup could not be read back, so that it was not confirmed', {
        hint: 'Check the disk and the connection, then run it again.',
      });
    }
    await session.forget(gone);
    if (lost.length > 0) await repository.manifests.withdraw(manifest.name, bytes);
    else await lease.assertHeld();
    return lost;
  } catch (error) {
    // Else the next run looks at it and takes it back itself.
    await repository.manifests.withdraw(manifest.name, bytes).catch(() => undefined);
    throw error;
  }
}

export function lostAgain(lost: readonly string[]): BackupError {
  return new BackupError('VERIFICATION_FAILED', `Verification failed: what was stored of ${lost.join(', ')} is gone`, {
    hint: 'Something removes packs while the backup is made. No backup was recorded; older backups are untouched.',
  });
}
