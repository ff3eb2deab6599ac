import type { RestoreResult, Run } from '@foodsave-backup/contracts/types';
import { describe, expect, it } from 'vitest';
import { parsePath, pathOf } from '../routing/routes.ts';
import { begin, choiceOf, obstacle, previewRows } from '../restore/wizard.ts';
import { matchesCode, newConfirmationCode } from './confirmation.ts';
import { countFact, numberFact, tableFacts, textFact } from './facts.ts';
import { isDryRun, resultOf } from './run-result.ts';

describe('addresses', () => {
  it.each([
    { page: 'overview' },
    { page: 'backup', name: 'release-1.2' },
    { page: 'restore', name: 'a b/ą%' },
    { page: 'run', id: '01k9z3s5e8m0v6qv7c2d4f8g1h' },
  ] as const)('of $page leads back to it', (route) => {
    expect(parsePath(pathOf(route))).toEqual(route);
  });

  it.each(['/', '/backups', '/backup/nothing', '/backup/runs', '/backup/backups/a/b', '/backup/backups/%zz'])(
    '%s is no page',
    (path) => {
      expect(parsePath(path)).toEqual({ page: 'notFound' });
    },
  );

  it('takes a slash at the end', () => {
    expect(parsePath('/backup/')).toEqual({ page: 'overview' });
  });
});

describe('confirmation', () => {
  it('has four characters that are not mistaken for others, and does not mind case or spaces', () => {
    const code = newConfirmationCode(Uint8Array.of(0, 21, 22, 255));
    expect(code).toMatch(/^[A-Z3479]{4}$/);
    expect(code).not.toMatch(/[BGILOQSZ012568]/);
    expect(matchesCode(` ${code.toLowerCase()} `, code)).toBe(true);
    expect(matchesCode(code.slice(0, 3), code)).toBe(false);
    expect(matchesCode('', code)).toBe(false);
  });
});

describe('facts of a component', () => {
  it('are read where they are, and left out where they are not what they should be', () => {
    const facts = {
      tables: [{ name: 'a', rows: 3 }, { name: 'b', rows: 9 }, { name: 'v', rows: null }, 'x', { rows: 1 }],
      vectors: 12,
      integrityCheck: ['row 7 missing', 'page 9'],
      embeddingModel: { name: 'mini' },
      redacted: [{ path: 'a', keys: ['x', 'y'] }, 'z'],
      metric: 7,
    };
    expect(tableFacts(facts)).toEqual([
      { name: 'b', rows: 9 },
      { name: 'a', rows: 3 },
      { name: 'v', rows: undefined },
    ]);
    expect(tableFacts({ tables: 'none' })).toEqual([]);
    expect(numberFact(facts, 'vectors')).toBe(12);
    expect(numberFact(facts, 'tables')).toBeUndefined();
    expect(textFact(facts, 'integrityCheck')).toBe('row 7 missing, page 9');
    expect(textFact(facts, 'embeddingModel')).toBe('mini');
    expect(textFact(facts, 'metric')).toBeUndefined();
    expect(countFact(facts, 'redacted')).toBe(3);
  });
});

describe('what a run answers', () => {
  const run = (part: Partial<Run>): Run => ({
    id: '1',
    command: 'create',
    status: 'succeeded',
    startedAt: '',
    ...part,
  });

  it('names the backup, as the body of a create or as the result of its run', () => {
    expect(resultOf(run({ result: { name: 'a' } }))).toEqual({ kind: 'backup', name: 'a', notes: [] });
    expect(resultOf(run({ result: { backup: { name: 'a' }, notes: ['n'] } }))).toMatchObject({
      name: 'a',
      notes: ['n'],
    });
    expect(resultOf(run({}))).toEqual({ kind: 'none' });
  });

  it('tells a rehearsal from the deed', () => {
    expect(isDryRun(run({ command: 'cleanup', result: { dryRun: true } }))).toBe(true);
    expect(isDryRun(run({ command: 'cleanup', result: { dryRun: false } }))).toBe(false);
  });
});

describe('the restore wizard', () => {
  const instances = ['database:main', 'files:main'];

  it('begins with a new folder and everything', () => {
    const wizard = begin('monday');
    expect(wizard.target).toBe('folder');
    expect(choiceOf(wizard, instances)).toEqual({ components: instances, target: 'restored/monday' });
  });

  it('asks for live data by leaving the target out', () => {
    expect(choiceOf({ ...begin('m'), target: 'live', left: ['files:main'] }, instances)).toEqual({
      components: ['database:main'],
    });
  });

  it('does not go on with nothing to restore or nowhere to go', () => {
    const wizard = begin('m');
    expect(obstacle(wizard, instances)).toBeUndefined();
    expect(obstacle({ ...wizard, left: instances }, instances)).toBe('nothing');
    expect(obstacle({ ...wizard, step: 'target', folder: ' ' }, instances)).toBe('noFolder');
    expect(obstacle({ ...wizard, step: 'target', folder: ' ', target: 'live' }, instances)).toBeUndefined();
  });

  it('shows the counts of the server', () => {
    const result: Readonly<RestoreResult> = { name: 'm', dryRun: true, components: {}, failed: [] };
    const counts = { added: 1, replaced: 2, deleted: 3, unchanged: 4 };
    const plan = { 'files:main': { added: ['a'], replaced: [], deleted: [], counts, bytes: 9 } };
    expect(previewRows({ ...result, plan })).toMatchObject([{ instance: 'files:main', ...counts, bytes: 9 }]);
    const components = { 'files:main': { files: 7, bytes: 70, notes: [] } };
    expect(previewRows({ ...result, components, target: '/x' })).toMatchObject([{ added: 7, deleted: 0, bytes: 70 }]);
  });
});
