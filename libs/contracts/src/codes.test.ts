import { readFileSync } from 'node:fs';
import { ERROR_CODES } from '@foodsave-backup/kernel';
import type { RunStatus } from '@foodsave-backup/kernel';
import { describe, expect, it } from 'vitest';
import { ERROR_TITLE, EXIT_CODE, HTTP_STATUS, problemType, runExitCode } from './index.ts';

describe('the tables over error codes', () => {
  it.each([
    ['HTTP_STATUS', HTTP_STATUS],
    ['EXIT_CODE', EXIT_CODE],
    ['ERROR_TITLE', ERROR_TITLE],
  ])('%s has exactly one row for each code', (_name, table) => {
    expect(Object.keys(table).sort()).toEqual([...ERROR_CODES].sort());
  });

  it('never calls a failure a success, nor a backup that was not made a partial one', () => {
    for (const code of ERROR_CODES) {
      expect(HTTP_STATUS[code]).toBeGreaterThanOrEqual(400);
      expect(HTTP_STATUS[code]).toBeLessThan(600);
      expect([1, 2, 10, 11, 12, 130]).toContain(EXIT_CODE[code]);
    }
  });

  it('keeps the exit codes of restic', () => {
    expect(EXIT_CODE.USAGE).toBe(2);
    expect(EXIT_CODE.CONFIG_INVALID).toBe(2);
    expect(EXIT_CODE.PORT_IN_USE).toBe(2);
    expect(EXIT_CODE.REPOSITORY_NOT_FOUND).toBe(10);
    expect(EXIT_CODE.LOCKED).toBe(11);
    expect(EXIT_CODE.WRONG_KEY).toBe(12);
    expect(EXIT_CODE.INTERRUPTED).toBe(130);
  });

  it('keeps the words of the three errors that people know', () => {
    expect(ERROR_TITLE.REPOSITORY_NOT_WRITABLE).toBe('Backup directory not writable');
    expect(ERROR_TITLE.DATABASE_BACKUP_FAILED).toBe('Database backup failed');
    expect(ERROR_TITLE.VERIFICATION_FAILED).toBe('Verification failed');
  });

  it('gives each code a title of its own', () => {
    expect(new Set(Object.values(ERROR_TITLE)).size).toBe(ERROR_CODES.length);
  });

  it('names a taken name a conflict and an absent backup not found', () => {
    expect(HTTP_STATUS.NAME_TAKEN).toBe(409);
    expect(HTTP_STATUS.BACKUP_NOT_FOUND).toBe(404);
    expect(HTTP_STATUS.VALIDATION_FAILED).toBe(400);
    expect(problemType('BACKUP_NOT_FOUND')).toBe('urn:foodsave-backup:error:BACKUP_NOT_FOUND');
  });

  it.each<[RunStatus, number]>([
    ['succeeded', 0],
    ['partial', 3],
    ['failed', 1],
    ['cancelled', 130],
    ['interrupted', 130],
    ['queued', 0],
    ['running', 0],
  ])('a run that is %s ends its process with %i', (status, code) => {
    expect(runExitCode(status)).toBe(code);
  });

  it('a failed run ends with the code of its error', () => {
    expect(runExitCode('failed', 'LOCKED')).toBe(11);
    expect(runExitCode('failed', 'SOURCE_UNREADABLE')).toBe(1);
  });
});

describe('the door for the web', () => {
  it('exports types only, so that importing it loads nothing', () => {
    const text = readFileSync(new URL('./types.ts', import.meta.url), 'utf8').replaceAll(/\/\*[\s\S]*?\*\//g, '');
    const statements = text.split(';').map((statement) => statement.trim());
    expect(statements.length).toBeGreaterThan(5);
    for (const statement of statements.filter((one) => one !== '')) expect(statement).toMatch(/^export type /);
  });
});
