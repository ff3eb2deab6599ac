import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONFIG_KEYS, parseBackupConfig, parseRepositoryText } from '../index.ts';
import type { BackupConfig, ConfigIssue } from '../index.ts';

const COMPONENTS = { database: { driver: 'sqlite', path: './data/app.db' } };

function accepted(value: unknown): BackupConfig {
  const parsed = parseBackupConfig(value);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
  return parsed.config;
}

function refused(value: unknown): readonly ConfigIssue[] {
  const parsed = parseBackupConfig(value);
  if (parsed.ok) throw new Error('was accepted');
  return parsed.issues;
}

const SAMPLE = {
  application: 'foodsave',
  repository: { type: 'local', path: './backups' },
  components: {
    database: { driver: 'sqlite', path: './data/foodsave.db' },
    files: { include: ['./data/uploads', './data/docs'], exclude: ['*.tmp'] },
    config: { include: ['./data/config'], env: ['LOG_LEVEL'] },
    vector_store: { driver: 'faiss', path: './data/vector_store' },
  },
  copies: [
    { name: 'nas', type: 'sftp', url: 'sftp://backup@nas/backups', media: 'nas' },
    { name: 'cloud', type: 's3', bucket: 'foodsave', offsite: true, objectLock: { mode: 'COMPLIANCE', days: 30 } },
  ],
  schedules: {
    backup: '0 2 * * *',
    cleanup: '0 3 * * 0',
    verify: '0 4 * * 1',
    drill: '0 5 1 * *',
    timezone: 'Europe/Warsaw',
  },
  retention: { daily: 7, weekly: 4, monthly: 12 },
};

describe('a whole configuration', () => {
  it('accepts every section of the documented sample', () => {
    const config = accepted(SAMPLE);
    expect(config.application).toBe('foodsave');
    expect(config.components.map((one) => one.instance)).toEqual([
      'database:main',
      'files:main',
      'config:main',
      'vector_store:main',
    ]);
    expect(config.copies).toMatchObject(SAMPLE.copies);
    expect(config.schedules).toMatchObject(SAMPLE.schedules);
    expect(config.retention).toMatchObject(SAMPLE.retention);
  });

  it('fills in the defaults', () => {
    expect(accepted({ components: COMPONENTS })).toMatchObject({
      application: 'application',
      repository: { type: 'local', path: './backups' },
      copies: [],
      plugins: [],
      retention: { daily: 7, weekly: 4, monthly: 12 },
      encryption: { enabled: true },
      compression: {},
      limits: {},
      verify: { afterCreate: true, checksums: true },
      server: { host: '127.0.0.1', port: 8000, allowedHosts: [] },
      logging: { level: 'info', file: './logs/app.log' },
    });
  });

  it('takes a section whose contents are commented out for absent', () => {
    const empty = Object.fromEntries(
      CONFIG_KEYS.filter((key) => !['application', 'plugins'].includes(key)).map((key) => [key, null]),
    );
    expect(accepted({ ...empty, components: COMPONENTS }).retention.daily).toBe(7);
  });

  it('keeps what is given beside the defaults', () => {
    const config = accepted({
      components: COMPONENTS,
      retention: { daily: 3, timezone: 'UTC' },
      logging: { level: 'WARNING' },
    });
    expect(config.retention).toMatchObject({ daily: 3, weekly: 4, monthly: 12, timezone: 'UTC' });
    expect(config.logging.level).toBe('warn');
  });

  it('reads rates with their units, and their plain numbers', () => {
    const limits = { threads: 2, read: '50 MB', upload: 1_500_000 };
    expect(accepted({ components: COMPONENTS, limits }).limits).toEqual({
      threads: 2,
      read: 50e6,
      upload: 1_500_000,
    });
    const [slip] = refused({ components: COMPONENTS, limits: { uplaod: '10 MB' } });
    expect(slip).toMatchObject({ key: 'limits.uplaod', suggestion: 'upload' });
    const [unit] = refused({ components: COMPONENTS, limits: { read: '50 Mb' } });
    expect(unit).toMatchObject({ reason: expect.stringContaining('bytes a second') as string });
    expect(unit?.example).toBe('limits: { read: 50 MB }');
  });

  it('finds every problem in one go', () => {
    const keys = refused({ componens: {}, retention: { daily: -1, wekly: 4 }, compression: { level: 20 } }).map(
      (one) => one.key,
    );
    expect(keys).toEqual(
      expect.arrayContaining(['componens', 'components', 'retention.daily', 'retention.wekly', 'compression.level']),
    );
  });

  it.each([[null], ['text'], [7], [[]], [true]])('refuses %j as a whole', (value) => {
    expect(refused(value)[0]).toMatchObject({ path: [], reason: expect.stringContaining('mapping') as string });
  });
});

describe('a wrong value', () => {
  it.each<[string, unknown]>([
    ['application', ''],
    ['application', '/etc'],
    ['application', null],
    ['plugins', './x.js'],
    ['plugins', [1]],
    ['repository', 7],
    ['repository.path', { type: 'local' }],
    ['repository.path', { type: 'local', path: '' }],
    ['repository.path', { type: 'local', path: '~/backups' }],
    ['repository.type', { type: 'ftp', path: './x' }],
    ['schedules.backup', { backup: '0 25 * * *' }],
    ['schedules.backup', { backup: 5 }],
    ['schedules.verify', { verify: true }],
    ['schedules.timezone', { timezone: 'Europe/Varsaw' }],
    ['retention.daily', { daily: 1.5 }],
    ['retention.daily', { daily: '7' }],
    ['retention.weekly', { weekly: null }],
    ['retention.monthly', { monthly: 10_001 }],
    ['retention.timezone', { timezone: 2 }],
    ['encryption.enabled', { enabled: 'yes' }],
    ['encryption.keyFile', { keyFile: 'a\0b' }],
    ['compression.level', { level: 0 }],
    ['limits.threads', { threads: 0 }],
    ['limits.threads', { threads: 65 }],
    ['limits.threads', { threads: '2' }],
    ['limits.read', { read: 50 }],
    ['limits.read', { read: null }],
    ['limits.read', { read: '50 Mbit' }],
    ['limits.upload', { upload: '0 MB' }],
    ['limits.upload', { upload: ['10 MB'] }],
    ['verify.afterCreate', { afterCreate: 1 }],
    ['verify.checksums', { checksums: 'no' }],
    ['server.host', { host: 'a b' }],
    ['server.host', { host: '300.1.1.1' }],
    ['server.port', { port: 65_536 }],
    ['server.allowedHosts', { allowedHosts: 'x' }],
    ['server.allowedHosts', { allowedHosts: ['http://x'] }],
    ['logging.level', { level: 'loud' }],
    ['logging.file', { file: '' }],
    ['copies', {}],
  ])('%s is refused with key, reason and example (%j)', (key, value) => {
    const section = key.split('.')[0] ?? '';
    const found = refused({ components: COMPONENTS, [section]: value });
    expect(found.map((one) => one.key)).toEqual([key]);
    expect(found[0]?.reason).toMatch(/^(must|is|has|starts|contains|names)/);
    expect(found[0]?.example).not.toBe('');
  });

  it.each<[string, object]>([
    ['copies[0].name', { type: 'local', path: '/mnt/usb' }],
    ['copies[0].type', { name: 'a', type: 'ftp' }],
    ['copies[0].url', { name: 'a', type: 'sftp' }],
    ['copies[0].url', { name: 'a', type: 'sftp', url: 'http://nas' }],
    ['copies[0].bucket', { name: 'a', type: 's3' }],
    ['copies[0].path', { name: 'a', type: 'local' }],
    ['copies[0].objectlock', { name: 'a', type: 's3', bucket: 'abc', objectlock: {} }],
    [
      'copies[0].objectLock.days',
      { name: 'a', type: 's3', bucket: 'abc', objectLock: { mode: 'COMPLIANCE', days: 0 } },
    ],
    ['copies[0].objectLock.mode', { name: 'a', type: 's3', bucket: 'abc', objectLock: { mode: 'SOFT', days: 1 } }],
  ])('%s of a copy is refused', (key, copy) => {
    expect(refused({ components: COMPONENTS, copies: [copy] }).map((one) => one.key)).toEqual([key]);
  });

  it('two copies cannot share a name', () => {
    const copy = { name: 'usb', type: 'local', path: '/mnt/usb' };
    expect(refused({ components: COMPONENTS, copies: [copy, { ...copy }] })[0]?.key).toBe('copies[1].name');
  });

  it.each(['constructor', 'prototype', '__proto__', 'toString', 'hasOwnProperty', 'valueOf', 'then'])(
    'the key %s is refused everywhere and changes nothing',
    (key) => {
      const nasty = JSON.parse(`{ "${key}": { "polluted": true } }`) as object;
      refused({ ...nasty, components: COMPONENTS, ...JSON.parse(`{ "${key}": 1 }`) });
      refused({ components: COMPONENTS, retention: nasty });
      refused({ components: { ...COMPONENTS, ...(JSON.parse(`{"${key}": 5}`) as object) } });
      expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    },
  );

  it('unknown keys are named with what was probably meant', () => {
    expect(refused({ components: COMPONENTS, retension: {} })[0]).toMatchObject({
      key: 'retension',
      suggestion: 'retention',
    });
    expect(refused({ components: COMPONENTS, encryption: { key_file: './k' } })[0]).toMatchObject({
      key: 'encryption.key_file',
      suggestion: 'keyFile',
    });
    expect(refused({ components: COMPONENTS, zebra: 1 })[0]?.suggestion).toBeUndefined();
  });

  it('long and odd keys are not repeated', () => {
    const key = 'c2VjcmV0LWtleS10aGF0LWlzLWxvbmctYW5kLWJhc2U2NA';
    expect(
      JSON.stringify(refused({ components: COMPONENTS, encryption: { [key]: null } }).map((one) => one.key)),
    ).not.toContain(key);
  });

  it('what this version cannot do is refused, not passed over', () => {
    expect(refused({ components: COMPONENTS, hooks: { before: [{ command: 'x' }] } })[0]).toMatchObject({
      key: 'hooks',
      reason: expect.stringContaining('not supported') as string,
    });
    expect(accepted({ components: COMPONENTS, hooks: null }).components).toHaveLength(1);
  });
});

describe('the repository written short', () => {
  it.each([
    ['./backups', { type: 'local', path: './backups' }],
    ['/srv/backups', { type: 'local', path: '/srv/backups' }],
    ['s3://bucket/prefix', { type: 's3', url: 's3://bucket/prefix' }],
    ['SFTP://user@host/dir', { type: 'sftp', url: 'SFTP://user@host/dir' }],
  ])('%s', (text, parsed) => {
    expect(parseRepositoryText(text)).toEqual(parsed);
    expect(accepted({ components: COMPONENTS, repository: text }).repository).toMatchObject(parsed);
  });

  it('keeps remote kinds recognisable in the long form too', () => {
    expect(accepted({ components: COMPONENTS, repository: { type: 's3', bucket: 'x' } }).repository.type).toBe('s3');
  });
});

describe('bounds', () => {
  it('deep nesting, many values and exotic objects are refused', () => {
    let deep: unknown = 1;
    for (let i = 0; i < 5000; i++) deep = [deep];
    expect(refused({ components: deep })[0]?.reason).toContain('nested deeper');
    expect(refused({ components: Array.from({ length: 30_000 }, () => 1) })[0]?.reason).toContain(
      'more than 20000 values',
    );
    for (const value of [new Date(), new Map(), () => 1, Symbol('x'), 1n, NaN, Infinity]) {
      refused({ components: COMPONENTS, application: value });
    }
  });

  it('at most 50 problems are told', () => {
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`key${String(i)}`, null]));
    expect(refused(many)).toHaveLength(50);
    expect(refused({ components: many })).toHaveLength(50);
    expect(refused({ components: COMPONENTS, retention: many })).toHaveLength(50);
  });

  it('any value at all is either accepted or refused with reasons', () => {
    const keys = fc.oneof(
      fc.constantFrom(...CONFIG_KEYS, 'database', 'path', 'daily', 'constructor', '__proto__'),
      fc.string(),
    );
    const value = fc.anything({
      key: keys,
      maxDepth: 4,
      withNullPrototype: true,
      withDate: true,
      withMap: true,
      withBigInt: true,
    });
    fc.assert(
      fc.property(fc.dictionary(keys, value, { maxKeys: 6 }), (tree) => {
        const parsed = parseBackupConfig(tree);
        if (!parsed.ok) expect(parsed.issues.length).toBeGreaterThan(0);
      }),
      { numRuns: 1500 },
    );
  });

  it('a wrong value never shows up in what is said about it', () => {
    const canary = 'CANARY-7f3a9';
    const places = CONFIG_KEYS.flatMap((key) => [
      [key],
      [key, 'path'],
      [key, 'level'],
      [key, 'timezone'],
      [key, 'type'],
      [key, 'backup'],
    ]);
    for (const [section, key] of places) {
      const parsed = parseBackupConfig({
        components: COMPONENTS,
        [section ?? '']: key === undefined ? canary : { [key]: `\0${canary}` },
      });
      if (!parsed.ok) expect(JSON.stringify(parsed.issues)).not.toContain(canary);
    }
  });
});
