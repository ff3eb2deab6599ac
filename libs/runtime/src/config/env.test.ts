import { mkdirSync, truncateSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MINIMAL, Workspace, shown } from './testing/workspace.ts';
import type { ResolvedConfig } from './index.ts';

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace();
  const settings = [
    'retention: { daily: 1, weekly: 2, monthly: 3 }',
    'verify: { afterCreate: true, checksums: true }',
    'logging: { level: error }',
    'server: { host: 127.0.0.2, port: 9000 }',
  ];
  workspace.write('backup.yaml', MINIMAL + settings.join('\n'));
});
afterEach(() => {
  workspace.remove();
});

const pick: Readonly<Record<string, (config: ResolvedConfig) => unknown>> = {
  'retention.daily': (config) => config.retention.daily,
  'retention.weekly': (config) => config.retention.weekly,
  'retention.monthly': (config) => config.retention.monthly,
  'verify.afterCreate': (config) => config.verifyAfterCreate,
  'verify.checksums': (config) => config.checksumVerification,
  'logging.level': (config) => config.logLevel,
  'server.host': (config) => config.server.host,
  'server.port': (config) => config.server.port,
};

describe('the environment comes before the file', () => {
  it.each<[string, string, string, unknown]>([
    ['BACKUP_DAILY_RETENTION_DAYS', '14', 'retention.daily', 14],
    ['BACKUP_WEEKLY_RETENTION_WEEKS', '0', 'retention.weekly', 0],
    ['BACKUP_MONTHLY_RETENTION_MONTHS', ' 24 ', 'retention.monthly', 24],
    ['BACKUP_VERIFY_ENABLED', 'false', 'verify.afterCreate', false],
    ['BACKUP_VERIFY_ENABLED', 'OFF', 'verify.afterCreate', false],
    ['BACKUP_VERIFY_ENABLED', '1', 'verify.afterCreate', true],
    ['BACKUP_CHECKSUM_VERIFICATION', 'no', 'verify.checksums', false],
    ['LOG_LEVEL', 'debug', 'logging.level', 'debug'],
    ['LOG_LEVEL', 'DEBUG', 'logging.level', 'debug'],
    ['LOG_LEVEL', 'Warning', 'logging.level', 'warn'],
    ['LOG_LEVEL', 'CRITICAL', 'logging.level', 'fatal'],
    ['HOST', '0.0.0.0', 'server.host', '0.0.0.0'],
    ['HOST', '[::1]', 'server.host', '::1'],
    ['HOST', 'backup.example.org', 'server.host', 'backup.example.org'],
    ['PORT', '8080', 'server.port', 8080],
    ['PORT', '0', 'server.port', 0],
  ])('%s=%s', async (name, text, key, value) => {
    const config = await workspace.load({ env: { [name]: text } });
    expect(pick[key]?.(config)).toBe(value);
    expect(config.overriddenByEnv).toEqual([key]);
  });

  it('a variable that is empty or blank counts as not set', async () => {
    const env = {
      BACKUP_DAILY_RETENTION_DAYS: '',
      PORT: '  ',
      LOG_LEVEL: undefined,
      BACKUP_ENCRYPTION_KEY: '',
      BACKUP_STATE_DIR: '',
    };
    const config = await workspace.load({ env });
    expect(config).toMatchObject({
      retention: { daily: 1 },
      server: { port: 9000 },
      logLevel: 'error',
      overriddenByEnv: [],
    });
    expect(config.encryptionKey).toBeUndefined();
  });

  it('BACKUP_STATE_DIR moves the state, and with it the key file', async () => {
    const config = await workspace.load({ env: { BACKUP_STATE_DIR: 'var/state' } });
    expect(config.stateDir).toBe(workspace.path('var/state'));
    expect(config.keyFile).toBe(workspace.path('var/state/backup.key'));
    expect((await workspace.load({ env: { BACKUP_STATE_DIR: '/nowhere/state' } })).stateDir).toBe('/nowhere/state');
  });

  it('says everywhere that checksums are off', async () => {
    await workspace.load({ env: { BACKUP_CHECKSUM_VERIFICATION: 'false' } });
    expect(workspace.warnings.join()).toContain('sizes and presence only');
  });
});

describe('a wrong variable stops the start', () => {
  it.each<[string, string]>([
    ['BACKUP_DAILY_RETENTION_DAYS', 'CANARY'],
    ['BACKUP_DAILY_RETENTION_DAYS', '-1'],
    ['BACKUP_WEEKLY_RETENTION_WEEKS', '1.5'],
    ['BACKUP_MONTHLY_RETENTION_MONTHS', '10001'],
    ['BACKUP_VERIFY_ENABLED', 'CANARY'],
    ['BACKUP_CHECKSUM_VERIFICATION', '2'],
    ['CLOUD_BACKUP_ENABLED', 'CANARY'],
    ['LOG_LEVEL', 'CANARY'],
    ['HOST', 'http://CANARY'],
    ['HOST', '127.0.0.1:8000'],
    ['PORT', '65536'],
    ['PORT', '80CANARY'],
    ['BACKUP_STATE_DIR', '~/CANARY'],
    ['BACKUP_ENCRYPTION_KEY_FILE', './CANARY'],
  ])('%s=%s: variable, reason and example, but not the value', async (name, text) => {
    const error = await workspace.refusal({ env: { [name]: text } });
    expect(error.message).toMatch(new RegExp(`^${name} (must|starts)`));
    expect(error.hint).toContain(`Example: ${name}=`);
    expect(shown(error)).not.toContain('CANARY');
  });

  it('several are told together', async () => {
    const error = await workspace.refusal({ env: { PORT: 'x', LOG_LEVEL: 'y', HOST: '/' } });
    expect(error.message).toContain('3 problems');
    for (const name of ['PORT', 'LOG_LEVEL', 'HOST']) expect(error.message).toContain(name);
  });

  it('a slip in a name is noticed, other variables are nobody’s business', async () => {
    await workspace.load({
      env: { BACKUP_DAILY_RETENTION_DAY: 'CANARY', BACKUP_ENCRYPTON_KEY: 'CANARY', BACKUP_DIR: 'x', PATH: 'y' },
    });
    expect(workspace.warnings).toHaveLength(2);
    expect(workspace.warnings.join()).toContain('did you mean BACKUP_DAILY_RETENTION_DAYS?');
    expect(workspace.warnings.join()).toContain('did you mean BACKUP_ENCRYPTION_KEY?');
    expect(workspace.warnings.join()).not.toContain('CANARY');
  });
});

describe('the encryption key', () => {
  it('is taken as it is from the variable, and without the closing line break from a file', async () => {
    const direct = await workspace.load({ env: { BACKUP_ENCRYPTION_KEY: ' pass phrase ' } });
    expect(direct.encryptionKey?.reveal()).toBe(' pass phrase ');
    expect(direct.overriddenByEnv).toEqual(['encryption.keyFile']);
    workspace.write('secrets/key', 'pass phrase\r\n');
    const file = await workspace.load({ env: { BACKUP_ENCRYPTION_KEY_FILE: 'secrets/key' } });
    expect(file.encryptionKey?.reveal()).toBe('pass phrase');
    expect(file.overriddenByEnv).toEqual(['encryption.keyFile']);
  });

  it.each(['BACKUP_ENCRYPTION_KEY', 'CLOUD_ACCESS_KEY', 'CLOUD_SECRET_KEY'])(
    '%s and its file together are refused',
    async (name) => {
      workspace.write('key', 'CANARY');
      const error = await workspace.refusal({ env: { [name]: 'CANARY', [`${name}_FILE`]: 'key' } });
      expect(error.message).toContain(`${name} is set, and so is ${name}_FILE`);
      expect(shown(error)).not.toContain('CANARY');
    },
  );

  it('a file that holds no key is refused', async () => {
    const refusal = async (): Promise<string> =>
      (await workspace.refusal({ env: { BACKUP_ENCRYPTION_KEY_FILE: 'key' } })).message;
    expect(await refusal()).toContain('does not exist');
    workspace.write('key', '\n');
    expect(await refusal()).toContain('is empty');
    workspace.write('key', new Uint8Array([0xff, 0xfe, 0x41]));
    expect(await refusal()).toContain('not UTF-8');
    truncateSync(workspace.path('key'), 64 * 1024 + 1);
    expect(await refusal()).toContain('larger than 65536 bytes');
    mkdirSync(workspace.path('dir'));
    expect((await workspace.refusal({ env: { BACKUP_ENCRYPTION_KEY_FILE: 'dir' } })).message).toContain(
      'is a directory',
    );
  });
});

describe('off-site copies of the environment', () => {
  it.each(['true', '1', 'YES'])('CLOUD_BACKUP_ENABLED=%s is refused, and says what to unset', async (value) => {
    const env = {
      CLOUD_BACKUP_ENABLED: value,
      CLOUD_ACCESS_KEY: 'CANARY',
      CLOUD_SECRET_KEY: 'CANARY',
      CLOUD_BUCKET: 'CANARY',
    };
    const error = await workspace.refusal({ env });
    expect(error.message).toContain(
      'CLOUD_BACKUP_ENABLED asks for off-site copies, which are not supported by this version yet',
    );
    expect(error.hint).toContain('Unset CLOUD_BACKUP_ENABLED, CLOUD_ACCESS_KEY, CLOUD_SECRET_KEY, CLOUD_BUCKET.');
    expect(shown(error)).not.toContain('CANARY');
  });

  it('switched off they are left alone; without a switch the settings are named', async () => {
    await workspace.load({ env: { CLOUD_BACKUP_ENABLED: 'false', CLOUD_ACCESS_KEY: 'CANARY' } });
    expect(workspace.warnings).toEqual([]);
    await workspace.load({ env: { CLOUD_ACCESS_KEY: 'CANARY', CLOUD_REGION: 'CANARY' } });
    expect(workspace.warnings).toEqual([
      'CLOUD_ACCESS_KEY, CLOUD_REGION set without CLOUD_BACKUP_ENABLED: no off-site copy is made.',
    ]);
  });
});
