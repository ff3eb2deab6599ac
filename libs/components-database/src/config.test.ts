import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BackupError } from '@foodsave-backup/kernel';
import { assertSqliteVersion } from './child/binding.ts';
import { parseConfig } from './config.ts';
import { parseHeader } from './header.ts';

describe('the configuration', () => {
  it('has defaults and resolves the path from the configuration file', () => {
    expect(parseConfig('database', { driver: 'sqlite', path: './data/app.db' }, '/srv/app')).toEqual({
      path: '/srv/app/data/app.db',
      busyTimeoutMs: 10_000,
    });
    expect(parseConfig('database', { path: '/var/lib/app.db', integrityCheck: 'quick' }, '/srv/app')).toMatchObject({
      path: '/var/lib/app.db',
      integrityCheck: 'quick',
    });
  });

  it.each([
    [undefined, 'database'],
    [[], 'database'],
    [{ driver: 'sqlite' }, 'path'],
    [{ path: '' }, 'path'],
    [{ path: 'a\0b' }, 'path'],
    [{ path: 'a', driver: 'postgres' }, 'driver'],
    [{ path: 'a', busyTimeoutMs: 0 }, 'busyTimeoutMs'],
    [{ path: 'a', busyTimeoutMs: '5' }, 'busyTimeoutMs'],
    [{ path: 'a', integrityCheck: 'none' }, 'integrityCheck'],
    [{ path: 'a', pasword: 'secret-value' }, 'pasword'],
  ])('refuses %j and names %s', (config, key) => {
    const error = caught(() => parseConfig('database', config, '/srv/app'));
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining(key) as string });
    expect(JSON.stringify(error.toJSON())).not.toContain('secret-value');
  });
});

describe('the SQLite library', () => {
  it.each(['3.51.3', '3.51.10', '3.52.0', '4.0.0'])('%s is accepted', (version) => {
    expect(() => {
      assertSqliteVersion(version);
    }).not.toThrow();
  });
  it.each(['3.51.2', '3.9.0', '2.99.99', 'unknown'])('%s is refused', (version) => {
    expect(() => {
      assertSqliteVersion(version);
    }).toThrow(BackupError);
  });
});

describe('the header', () => {
  it('never throws, and knows only what begins like a database', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(parseHeader(bytes)).toBeUndefined();
      }),
    );
  });

  it('gives every page size back', () => {
    const exponents = fc.integer({ min: 9, max: 16 });
    fc.assert(
      fc.property(exponents, fc.boolean(), (exponent, wal) => {
        const bytes = Buffer.alloc(100);
        bytes.write('SQLite format 3\0', 'latin1');
        bytes.writeUInt16BE(exponent === 16 ? 1 : 2 ** exponent, 16);
        bytes.fill(wal ? 2 : 1, 18, 20);
        expect(parseHeader(bytes)).toEqual({ pageSize: 2 ** exponent, wal, autoVacuum: 'none' });
      }),
    );
  });
});

function caught(work: () => unknown): BackupError {
  try {
    work();
  } catch (error) {
    if (error instanceof BackupError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
