import { expect, it, vi } from 'vitest';
import { BackupError, toBackupError } from './errors.ts';

it('knows an error of another copy of its class, and nothing else', async () => {
  vi.resetModules();
  const other = await import('./errors.ts');
  expect(other.BackupError).not.toBe(BackupError);
  const error = new other.BackupError('SOURCE_MISSING', 'gone', { hint: 'look' });
  expect(toBackupError(error)).toBe(error);
  expect(error).toBeInstanceOf(BackupError);
  for (const value of [new Error('gone'), { code: 'SOURCE_MISSING', message: 'gone' }, null, undefined, 'gone']) {
    expect(value).not.toBeInstanceOf(BackupError);
  }
});
