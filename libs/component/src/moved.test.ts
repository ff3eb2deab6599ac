import { BackupError } from '@foodsave-backup/kernel';
import { expect, it, vi } from 'vitest';
import { SourceMoved } from './moved.ts';

it('is known from another copy of its class; other errors are not taken for it', async () => {
  vi.resetModules();
  const other = await import('./moved.ts');
  expect(other.SourceMoved).not.toBe(SourceMoved);
  expect(new other.SourceMoved('The store')).toBeInstanceOf(SourceMoved);
  expect(new other.SourceMoved('The store')).toBeInstanceOf(BackupError);
  expect(new BackupError('SOURCE_CHANGED', 'The store changed')).not.toBeInstanceOf(SourceMoved);
});
