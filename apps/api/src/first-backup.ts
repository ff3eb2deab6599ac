import type { BackupService, ComponentRegistry } from '@foodsave-backup/backup-nest';
import { BackupError } from '@foodsave-backup/kernel';
import type { Logger } from 'pino';

/** Makes the first backup where there is no repository yet and something to protect. */
export async function firstBackup(backup: BackupService, components: ComponentRegistry, logger: Logger): Promise<void> {
  if (!(await hasNoRepository(backup))) return;
  const entries = await components.entries();
  if (!entries.some((entry) => entry.status === 'up')) {
    logger.warn('No backup yet, and none of the configured components is there: nothing to protect so far.');
    return;
  }
  logger.info('There is no backup yet: making the first one.');
  const run = backup.submit({ command: 'create', trigger: 'first-start' }, { actor: 'server' });
  const { status, result } = await run.finished;
  // How it ended is logged like that of any run; what only the first run says is said here.
  if (status === 'succeeded' || status === 'partial') for (const note of notesOf(result)) logger.info(note);
}

async function hasNoRepository(backup: BackupService): Promise<boolean> {
  try {
    await backup.engine.list({ limit: 1 });
    return false;
  } catch (error) {
    if (error instanceof BackupError && error.code === 'REPOSITORY_NOT_FOUND') return true;
    throw error;
  }
}

function notesOf(result: unknown): string[] {
  const notes = (result as { notes?: unknown } | undefined)?.notes;
  return Array.isArray(notes) ? notes.filter((note) => typeof note === 'string') : [];
}
