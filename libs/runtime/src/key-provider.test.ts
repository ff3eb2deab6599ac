import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tempDir } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
import { keyProvider } from './key-provider.ts';
import { Secret } from './config/secret.ts';

describe('the key provider', () => {
  it('makes a key file of mode 0600, in directories of mode 0700, and reads it back', async () => {
    await using temp = await tempDir();
    const keyFile = temp.join('state/deep/repository.key');
    const keys = keyProvider({ encryptionKey: undefined, keyFile });
    expect(await keys.load()).toBeUndefined();
    const made = await keys.create();
    expect(made.location).toBe(keyFile);
    expect(made.secret.length).toBeGreaterThanOrEqual(32);
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
    expect((await stat(temp.join('state/deep'))).mode & 0o777).toBe(0o700);
    expect(await keys.load()).toEqual({ secret: made.secret, named: false });
    const other = await keyProvider({ encryptionKey: undefined, keyFile: temp.join('other.key') }).create();
    expect(other.secret).not.toBe(made.secret);
  });

  it('never replaces a file that is there, whatever it holds', async () => {
    await using temp = await tempDir();
    const keyFile = temp.join('key');
    await writeFile(keyFile, 'precious');
    await expect(keyProvider({ encryptionKey: undefined, keyFile }).create()).rejects.toMatchObject({
      code: 'IO_ERROR',
    });
    expect(await readFile(keyFile, 'utf8')).toBe('precious');
  });

  it('takes the key from the environment first, and does not look at the file then', async () => {
    await using temp = await tempDir();
    const keyFile = temp.join('key');
    await writeFile(keyFile, 'from-the-file-0123456789-abcdefghijklm\n');
    const keys = keyProvider({ encryptionKey: new Secret('from-the-environment-0123456789-abcdef'), keyFile });
    expect(await keys.load()).toEqual({ secret: 'from-the-environment-0123456789-abcdef', named: true });
  });

  it('reads a key with comments, spaces and line ends of other systems around it', async () => {
    await using temp = await tempDir();
    const keyFile = temp.join('key');
    const bare = temp.join('bare');
    const { secret } = await keyProvider({ encryptionKey: undefined, keyFile: bare }).create();
    await writeFile(keyFile, `# the key of the backups\n\n  ${secret}  \r\n`);
    expect((await keyProvider({ encryptionKey: undefined, keyFile }).load())?.secret).toBe(secret);
  });

  it.each(['', '\n\n', '# only a comment\n'])('says that the file %j is empty, and what to do', async (text) => {
    await using temp = await tempDir();
    const keyFile = temp.join('key');
    await writeFile(keyFile, text);
    await expect(keyProvider({ encryptionKey: undefined, keyFile }).load()).rejects.toMatchObject({
      code: 'KEY_MISSING',
      hint: expect.any(String) as string,
    });
  });

  it('a key file that cannot be read is an error, never a reason to make another one', async () => {
    await using temp = await tempDir();
    const keyFile = temp.join('key');
    await mkdir(keyFile);
    await expect(keyProvider({ encryptionKey: undefined, keyFile }).load()).rejects.toMatchObject({
      code: 'KEY_MISSING',
    });
    const blocked = temp.join('blocked');
    await writeFile(blocked, 'a file');
    await chmod(blocked, 0o600);
    await expect(keyProvider({ encryptionKey: undefined, keyFile: `${blocked}/key` }).create()).rejects.toMatchObject({
      code: expect.any(String) as string,
    });
  });
});
