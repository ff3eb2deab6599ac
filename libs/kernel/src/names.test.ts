import { describe, expect, it } from 'vitest';
import { assertBackupName, defaultBackupName, BackupError } from './index.ts';

describe('backup names', () => {
  it.each(['a', 'pre_deployment_backup', 'A.b-c_9', 'x'.repeat(100)])('accepts %s', (name) => {
    expect(() => {
      assertBackupName(name);
    }).not.toThrow();
  });
  it.each([
    '',
    '../x',
    '.x',
    'a/b',
    'x'.repeat(101),
    'ą',
    'a\n',
    'Repository',
    'KEYS',
    'recover.mjs',
    'repository.json',
  ])('refuses %j', (name) => {
    expect(() => {
      assertBackupName(name);
    }).toThrow(BackupError);
  });
  it('makes a default name that it accepts itself', () => {
    const name = defaultBackupName(Date.UTC(2026, 10, 23, 4, 5, 6));
    expect(name).toBe('full_backup_20261123_040506');
    assertBackupName(name);
  });
});
