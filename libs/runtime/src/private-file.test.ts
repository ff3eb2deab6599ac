import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tempDir } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
import { writePrivateFile } from './private-file.ts';

describe('a private file', () => {
  it('is readable for its owner only, and made with its directories', async () => {
    await using temp = await tempDir();
    const file = temp.join('deep/er/secret.txt');
    await writePrivateFile(file, 'text\n', 'The file', 'hint');
    expect(await readFile(file, 'utf8')).toBe('text\n');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(temp.join('deep'))).mode & 0o777).toBe(0o700);
  });

  it('replaces nothing, and says what to do', async () => {
    await using temp = await tempDir();
    await writeFile(temp.join('precious'), 'precious');
    await mkdir(temp.join('directory'));
    for (const name of ['precious', 'directory', 'precious/below']) {
      const refused = writePrivateFile(temp.join(name), 'secret', 'The file', 'Name another.');
      const error: unknown = await refused.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ code: 'IO_ERROR', hint: 'Name another.' });
      expect(JSON.stringify(error)).not.toContain('secret');
    }
    expect(await readFile(temp.join('precious'), 'utf8')).toBe('precious');
  });
});
