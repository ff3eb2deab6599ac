import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { availableParallelism } from 'node:os';
import { inspect } from 'node:util';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { engineDeps } from '../open-engine.ts';
import { Secret } from './index.ts';
import { MINIMAL, Workspace, shown } from './testing/workspace.ts';

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace();
});
afterEach(() => {
  workspace.remove();
});

describe('which configuration counts', () => {
  const named = (name: string): string => `application: ${name}\n${MINIMAL}`;

  it('--config comes before BACKUP_CONFIG, that before ./backup.yaml, that before the embedded default', async () => {
    expect(await workspace.load()).toMatchObject({
      source: 'embedded default',
      application: 'foodsave',
      baseDir: workspace.dir,
    });
    const here = workspace.write('backup.yaml', named('here'));
    expect(await workspace.load()).toMatchObject({ source: here, application: 'here' });
    const env = { BACKUP_CONFIG: 'etc/env.yaml' };
    const fromEnv = workspace.write('etc/env.yaml', named('env'));
    expect(await workspace.load({ env })).toMatchObject({
      source: fromEnv,
      application: 'env',
      baseDir: workspace.path('etc'),
    });
    const given = workspace.write('given.yaml', named('given'));
    expect(await workspace.load({ env, configPath: 'given.yaml' })).toMatchObject({
      source: given,
      application: 'given',
    });
    expect(await workspace.load({ env: { BACKUP_CONFIG: '' } })).toMatchObject({ application: 'here' });
  });

  it('a file that is named and absent is an error, never a default', async () => {
    workspace.write('backup.yaml', MINIMAL);
    expect((await workspace.refusal({ configPath: 'absent.yaml' })).message).toContain(
      '(named by --config) does not exist',
    );
    expect((await workspace.refusal({ env: { BACKUP_CONFIG: 'absent.yaml' } })).message).toContain(
      '(named by BACKUP_CONFIG)',
    );
    expect((await workspace.refusal({ configPath: '' })).message).toContain('empty');
  });

  it('says that a file with a similar name is not read', async () => {
    workspace.write('backup.yml', MINIMAL);
    expect((await workspace.load()).source).toBe('embedded default');
    expect(workspace.warnings.join()).toContain('backup.yml is not read');
  });

  it('the embedded default protects the sample application as it lies here', async () => {
    for (const folder of ['data/uploads', 'data/config', 'backups', 'state']) {
      mkdirSync(workspace.path(folder), { recursive: true });
    }
    const config = await workspace.load();
    expect(config.components.map((one) => one.instance)).toEqual([
      'database:main',
      'files:main',
      'config:main',
      'vector_store:main',
    ]);
    expect(config).toMatchObject({
      repositoryPath: workspace.path('backups'),
      stateDir: workspace.path('state'),
      keyFile: workspace.path('state/backup.key'),
      logFile: workspace.path('logs/app.log'),
      encryptionEnabled: true,
      encryptionKey: undefined,
      compressionLevel: undefined,
      retention: { daily: 7, weekly: 4, monthly: 12 },
      verifyAfterCreate: true,
      checksumVerification: true,
      server: { host: '127.0.0.1', port: 8000, allowedHosts: [] },
      logLevel: 'info',
      overriddenByEnv: [],
    });
    expect(config.schedules).toMatchObject({
      backup: '0 2 * * *',
      cleanup: '0 3 * * 0',
      verify: '0 4 * * 1',
      drill: '0 5 1 * *',
    });
    expect(workspace.warnings).toEqual([]);
  });
});

describe('what a file says', () => {
  it('limits a run; without a word it uses all processors', async () => {
    const usual = Math.min(64, availableParallelism());
    workspace.write('backup.yaml', MINIMAL);
    expect((await workspace.load()).limits).toEqual({ threads: usual });
    workspace.write('backup.yaml', `${MINIMAL}limits: { read: 50 MB, upload: 1.5 MiB/s, threads: 3 }\n`);
    expect((await workspace.load()).limits).toEqual({ threads: 3, read: 50e6, upload: 1.5 * 2 ** 20 });
    workspace.write('backup.yaml', `${MINIMAL}limits: { raed: 50 MB }\n`);
    expect((await workspace.refusal()).message).toContain(
      'line 2: limits.raed is not a known key; did you mean "read"?',
    );
  });

  it('resolves paths from its own directory, and those of options from the working directory', async () => {
    const plugin = (type: string): string => `export default { type: '${type}', driver: 'd', open() {} };\n`;
    workspace.write('etc/mail.js', plugin('mail'));
    workspace.write('etc/package.json', '{ "type": "module" }');
    workspace.write('node_modules/@acme/backup-mail/package.json', '{ "type": "module", "main": "main.js" }');
    workspace.write('node_modules/@acme/backup-mail/main.js', plugin('acme_mail'));
    workspace.write(
      'etc/backup.yaml',
      `${MINIMAL}repository: ../store\nencryption: { keyFile: keys/k }\nlogging: { file: log/x.log }\nplugins: [./mail.js, "@acme/backup-mail"]\n`,
    );
    const config = await workspace.load({ configPath: 'etc/backup.yaml' });
    expect(config).toMatchObject({
      repositoryPath: workspace.path('store'),
      stateDir: workspace.path('etc/state'),
      keyFile: workspace.path('etc/keys/k'),
      logFile: workspace.path('etc/log/x.log'),
      plugins: [workspace.path('etc/mail.js'), '@acme/backup-mail'],
      customDrivers: [{ type: 'mail' }, { type: 'acme_mail' }],
    });
    const other = await workspace.load({ configPath: 'etc/backup.yaml', repository: 'store2' });
    expect(other.repositoryPath).toBe(workspace.path('store2'));
  });

  it('a symbolic link to a file counts where the link lies', async () => {
    workspace.write('mounted/..data/real.yaml', MINIMAL);
    mkdirSync(workspace.path('etc'));
    symlinkSync('../mounted/..data/real.yaml', workspace.path('etc/backup.yaml'));
    expect((await workspace.load({ configPath: 'etc/backup.yaml' })).baseDir).toBe(workspace.path('etc'));
  });

  it('time zones fall back from retention to schedules to the system', async () => {
    const system = new Intl.DateTimeFormat().resolvedOptions().timeZone;
    const zones = async (text: string): Promise<string[]> => {
      workspace.write('backup.yaml', MINIMAL + text);
      const config = await workspace.load();
      return [config.timezone, config.schedules.timezone];
    };
    expect(await zones('')).toEqual([system, system]);
    expect(await zones('schedules: { timezone: Europe/Warsaw }')).toEqual(['Europe/Warsaw', 'Europe/Warsaw']);
    expect(await zones('schedules: { timezone: Europe/Warsaw }\nretention: { timezone: Asia/Tokyo }')).toEqual([
      'Asia/Tokyo',
      'Europe/Warsaw',
    ]);
  });

  it('the zone of the system is asked for only when it is needed', async () => {
    workspace.write('backup.yaml', MINIMAL);
    const intl = vi.spyOn(Intl, 'DateTimeFormat');
    try {
      const { config } = engineDeps(await workspace.load());
      expect(intl).not.toHaveBeenCalled();
      expect(config.timeZone).not.toBe('');
      expect(intl).toHaveBeenCalled();
    } finally {
      intl.mockRestore();
    }
  });

  it('a schedule that is false or absent is not there', async () => {
    workspace.write('backup.yaml', `${MINIMAL}schedules: { backup: "0 1 * * *", verify: false }`);
    expect(Object.keys((await workspace.load()).schedules).sort()).toEqual(['backup', 'timezone']);
  });

  it.each([
    ['s3', 's3://bucket/prefix'],
    ['sftp', '{ type: sftp, url: "sftp://user:CANARY@nas/x" }'],
  ])('a repository on %s is refused as not supported', async (type, text) => {
    workspace.write('backup.yaml', `${MINIMAL}repository: ${text}\n`);
    const error = await workspace.refusal();
    expect(error.message).toContain(`repository of type ${type} is not supported by this version: local only`);
    expect(shown(error)).not.toContain('CANARY');
    // An option takes the place of the file's.
    expect((await workspace.load({ repository: './local' })).repositoryPath).toBe(workspace.path('local'));
    const option = await workspace.refusal({ repository: `${type}://user:CANARY@host/x` });
    expect(option.message).toContain('--repository of type');
    expect(shown(option)).not.toContain('CANARY');
  });

  it.each(['', '~/backups', 'ftp://host/x', 'a\0b'])('--repository %j is refused', async (repository) => {
    expect((await workspace.refusal({ repository })).message).toContain('--repository');
  });

  it('copies are refused with the line, not passed over', async () => {
    workspace.write('backup.yaml', `${MINIMAL}copies:\n  - { name: nas, type: sftp, url: "sftp://CANARY@nas/b" }\n`);
    const error = await workspace.refusal();
    expect(error.message).toContain(
      'line 2: copies asks for off-site copies, which are not supported by this version yet',
    );
    expect(shown(error)).not.toContain('CANARY');
    workspace.write('backup.yaml', `${MINIMAL}copies: []\n`);
    await workspace.load();
  });

  it('all tiers at zero are refused, also when the environment makes it so', async () => {
    workspace.write('backup.yaml', `${MINIMAL}retention: { daily: 0, weekly: 0, monthly: 1 }`);
    expect((await workspace.load()).retention.monthly).toBe(1);
    const error = await workspace.refusal({ env: { BACKUP_MONTHLY_RETENTION_MONTHS: '0' } });
    expect(error.message).toContain('line 2: retention turns every tier off');
  });

  it('a key for a repository without encryption is refused', async () => {
    workspace.write('backup.yaml', `${MINIMAL}encryption: { enabled: false }`);
    expect((await workspace.load()).encryptionEnabled).toBe(false);
    const error = await workspace.refusal({ env: { BACKUP_ENCRYPTION_KEY: 'CANARY' } });
    expect(error.message).toContain('BACKUP_ENCRYPTION_KEY gives a key');
    expect(shown(error)).not.toContain('CANARY');
    workspace.write('backup.yaml', `${MINIMAL}encryption: { enabled: false, keyFile: ./k }`);
    expect((await workspace.refusal()).message).toContain('encryption.keyFile gives a key');
  });
});

describe('the result', () => {
  it('keeps the key out of JSON and of everything that prints', async () => {
    const config = await workspace.load({ env: { BACKUP_ENCRYPTION_KEY: 'CANARY' } });
    expect(config.encryptionKey?.reveal()).toBe('CANARY');
    for (const text of [
      JSON.stringify(config),
      inspect(config, { depth: 9, showHidden: true }),
      String(config.encryptionKey),
    ]) {
      expect(text).not.toContain('CANARY');
      expect(text).toContain('[secret]');
    }
    expect(String(new Secret('CANARY'))).toBe('[secret]');
  });

  it('cannot be changed by whoever gets it', async () => {
    const config = await workspace.load();
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.retention)).toBe(true);
    expect(Object.isFrozen(config.components)).toBe(true);
  });
});

describe('start-up', () => {
  it('importing it loads neither the validator nor the YAML parser, and runs without a build', () => {
    const index = fileURLToPath(new URL('./index.ts', import.meta.url));
    const script = `
      import { createRequire } from 'node:module';
      const { loadConfig } = await import(${JSON.stringify(index)});
      const heavy = Object.keys(createRequire(${JSON.stringify(index)}).cache).filter((file) => /class-validator|class-transformer|yaml/.test(file));
      console.log(JSON.stringify([typeof loadConfig, heavy]));`;
    const args = ['--conditions=@foodsave-backup/source', '--input-type=module', '--eval', script];
    const child = spawnSync(process.execPath, args, { encoding: 'utf8', cwd: path.dirname(index) });
    expect(child.stderr).toBe('');
    expect(JSON.parse(child.stdout)).toEqual(['function', []]);
  });
});
