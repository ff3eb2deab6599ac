import { BackupError } from '@foodsave-backup/kernel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BackupNameParams,
  CheckRequest,
  CleanupRequest,
  CreateRequest,
  ListRequest,
  RestoreRequest,
  RunIdParams,
  RunListRequest,
  TreeRequest,
  UndoRequest,
  VerifyRequest,
  validateRequest,
} from '../index.ts';
import type { ProblemItem } from '../index.ts';

type Class = new () => object;

function refusal(cls: Class, ...sources: unknown[]): BackupError {
  try {
    validateRequest(cls, ...sources);
  } catch (error) {
    if (error instanceof BackupError) return error;
    throw error;
  }
  throw new Error('was accepted');
}

function parameters(error: BackupError): string[] {
  return (error.details?.['errors'] as ProblemItem[]).map((item) => item.parameter);
}

describe('defaults', () => {
  it.each<[Class, object]>([
    [CreateRequest, { wait: true }],
    [ListRequest, { limit: 50 }],
    [RestoreRequest, { dry_run: false, wait: true }],
    [VerifyRequest, { level: 'full', wait: true }],
    [CleanupRequest, { dry_run: false }],
    [UndoRequest, { dry_run: false, wait: true }],
    [CheckRequest, { read_data: false, wait: true }],
    [TreeRequest, {}],
    [RunListRequest, { limit: 50 }],
  ])('%o', (cls, defaults) => {
    const request = validateRequest(cls, {}, undefined);
    expect(request).toBeInstanceOf(cls);
    expect(Object.fromEntries(Object.entries(request))).toEqual(defaults);
    expect(Object.entries(validateRequest(cls, null, Object.create(null)))).toEqual(Object.entries(request));
  });
});

describe('query and body', () => {
  it('reads the texts of a query', () => {
    const query = {
      backup_name: 'my_backup',
      verify: 'true',
      components: 'database, files:uploads,database',
      wait: '0',
    };
    expect(Object.fromEntries(Object.entries(validateRequest(CreateRequest, query)))).toEqual({
      backup_name: 'my_backup',
      verify: true,
      components: ['database', 'files:uploads'],
      wait: false,
    });
  });

  it('reads the values of a JSON body, null meaning absent', () => {
    const body = { verify: false, components: ['database', 'vector_store'], backup_name: null, wait: true };
    expect(Object.fromEntries(Object.entries(validateRequest(CreateRequest, {}, body)))).toEqual({
      verify: false,
      components: ['database', 'vector_store'],
      wait: true,
    });
  });

  it('joins both, and refuses two different values', () => {
    expect(validateRequest(CreateRequest, { verify: 'true' }, { wait: false })).toMatchObject({
      verify: true,
      wait: false,
    });
    expect(validateRequest(CreateRequest, { backup_name: 'a' }, { backup_name: 'a' }).backup_name).toBe('a');
    expect(parameters(refusal(CreateRequest, { backup_name: 'a' }, { backup_name: 'b' }))).toEqual(['backup_name']);
  });

  it('reads repeated query parameters as a list, for lists only', () => {
    expect(validateRequest(RestoreRequest, { components: ['database', 'files,config'] }).components).toEqual([
      'database',
      'files',
      'config',
    ]);
    expect(parameters(refusal(RestoreRequest, { target: ['/a', '/b'] }))).toEqual(['target']);
  });

  it.each([['text'], [5], [[1]]])('refuses the body %j', (body) => {
    expect(refusal(CreateRequest, {}, body).code).toBe('VALIDATION_FAILED');
  });

  it('reads the path parameters of an address', () => {
    expect(validateRequest(BackupNameParams, { name: 'full_backup_20261123_020000' }).name).toContain('full_backup');
    expect(validateRequest(RunIdParams, { id: '01k9z3s5e8m0v6qv7c2d4f8g1h' }).id).toHaveLength(26);
    refusal(RunIdParams, { id: '../x' });
    refusal(RunIdParams, {});
  });
});

describe('what is refused', () => {
  it.each<[Class, object, string]>([
    [CreateRequest, { verify: 'yes' }, 'verify'],
    [CreateRequest, { verify: '' }, 'verify'],
    [CreateRequest, { wait: 1 }, 'wait'],
    [CreateRequest, { wait: ['true', 'false'] }, 'wait'],
    [CreateRequest, { components: '' }, 'components'],
    [CreateRequest, { components: [] }, 'components'],
    [CreateRequest, { components: 'database,' }, 'components'],
    [CreateRequest, { components: ['database', 7] }, 'components'],
    [CreateRequest, { components: { a: 1 } }, 'components'],
    [CreateRequest, { components: '../etc' }, 'components'],
    [ListRequest, { limit: '0' }, 'limit'],
    [ListRequest, { limit: '501' }, 'limit'],
    [ListRequest, { limit: '5.5' }, 'limit'],
    [ListRequest, { limit: '1e2' }, 'limit'],
    [ListRequest, { status: 'green' }, 'status'],
    [ListRequest, { component: 'a b' }, 'component'],
    [ListRequest, { q: '' }, 'q'],
    [ListRequest, { q: 'x'.repeat(101) }, 'q'],
    [ListRequest, { cursor: 'a b' }, 'cursor'],
    [RestoreRequest, { target: 'a\0b' }, 'target'],
    [RestoreRequest, { path: '/etc' }, 'path'],
    [RestoreRequest, { path: 'a/../../etc' }, 'path'],
    [RestoreRequest, { path: '..' }, 'path'],
    [RestoreRequest, { path: 'a//b' }, 'path'],
    [RestoreRequest, { path: './a' }, 'path'],
    [VerifyRequest, { level: 'deep' }, 'level'],
    [RunListRequest, { status: 'done' }, 'status'],
  ])('%o %j', (cls, query, parameter) => {
    const error = refusal(cls, query);
    expect(error.code).toBe('VALIDATION_FAILED');
    expect(parameters(error)).toEqual([parameter]);
    expect(error.message).toContain(parameter);
    expect(error.hint).toBeDefined();
  });

  it.each(['data/foodsave.db', 'data/uploads/', 'data/..hidden', 'a.b/.config', '_outside/var/lib/app.db', 'zażółć/x'])(
    'but not the path %s',
    (path) => {
      expect(validateRequest(RestoreRequest, { path }).path).toBe(path);
    },
  );

  it.each(['', '../x', 'repository', 'a b', 'x'.repeat(101), '.hidden'])('a bad name %j has its own code', (name) => {
    expect(refusal(CreateRequest, { backup_name: name }).code).toBe('NAME_INVALID');
    expect(refusal(BackupNameParams, { name }).code).toBe('NAME_INVALID');
  });

  it('several problems are told together', () => {
    const error = refusal(CreateRequest, { backup_name: '', verify: 'x', nme: 'y' });
    expect(error.code).toBe('VALIDATION_FAILED');
    expect(parameters(error).sort()).toEqual(['backup_name', 'nme', 'verify']);
  });

  it('unknown parameters, with what was probably meant', () => {
    expect(refusal(CreateRequest, { backupName: 'x' }).message).toContain('did you mean backup_name?');
    expect(refusal(CleanupRequest, { 'dry-run': 'true' }).message).toContain('did you mean dry_run?');
    expect(refusal(CleanupRequest, { zebra: '1' }).message).toContain('the parameters are dry_run');
    for (const key of ['toString', 'constructor', 'hasOwnProperty', '__proto__']) {
      refusal(CreateRequest, JSON.parse(`{ "${key}": { "x": 1 } }`));
    }
  });

  it('nothing but the error type ever comes out, and never a value', () => {
    const canary = 'CANARY';
    const key = fc.oneof(
      fc.constantFrom('backup_name', 'verify', 'components', 'wait', 'limit', 'path', '__proto__'),
      fc.string(),
    );
    const value = fc.oneof(
      fc.anything({ maxDepth: 2 }),
      fc.string().map((text) => `${canary}\0${text}`),
    );
    fc.assert(
      fc.property(
        fc.constantFrom<Class>(CreateRequest, ListRequest, RestoreRequest, VerifyRequest, TreeRequest),
        fc.dictionary(key, value, { maxKeys: 4 }),
        (cls, query) => {
          try {
            validateRequest(cls, query);
          } catch (error) {
            if (!(error instanceof BackupError)) throw error;
            expect(JSON.stringify(error)).not.toContain(canary);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
});
