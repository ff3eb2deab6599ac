import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tempDir } from '@foodsave-backup/testing';
import { loadConfig } from './index.ts';

const load = (cwd: string): ReturnType<typeof loadConfig> => loadConfig({ cwd, env: {}, warn: () => undefined });

it('without a configuration the sample of npm start is the application, and a backup.yaml comes before it', async () => {
  await using temp = await tempDir();
  expect((await load(temp.path)).source).toBe('embedded default');
  await mkdir(join(temp.path, 'demo'));
  const yaml = 'application: NAME\ncomponents: { database: { path: ./data/foodsave.db } }\n';
  await writeFile(join(temp.path, 'demo/backup.yaml'), yaml.replace('NAME', 'sample'));
  expect(await load(temp.path)).toMatchObject({
    application: 'sample',
    repositoryPath: join(temp.path, 'demo/backups'),
  });
  await writeFile(join(temp.path, 'backup.yaml'), yaml.replace('NAME', 'own'));
  expect(await load(temp.path)).toMatchObject({ application: 'own', repositoryPath: join(temp.path, 'backups') });
});
