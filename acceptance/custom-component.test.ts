import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { CreateResult, RestoreResult, VerifyResult } from '@foodsave-backup/engine';
import { tempDir } from '@foodsave-backup/testing';
import { openApplication } from './harness.ts';

const EXAMPLE = fileURLToPath(new URL('../examples/custom-component/src/', import.meta.url));
const GUIDE = fileURLToPath(new URL('../docs/custom-components.md', import.meta.url));
const records = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, i) => `{"seq":${from + i},"key":"theme","value":"dark"}\n`).join('');

/** An application with a key-value store and the example as its plugin, copied beside the configuration. */
async function application(directory: string, yaml = ''): Promise<string> {
  await mkdir(join(directory, 'data'), { recursive: true });
  await copyFile(join(EXAMPLE, 'key-value.mjs'), join(directory, 'key-value.mjs'));
  const store = join(directory, 'data/store.jsonl');
  await writeFile(store, records(1, 1000));
  await writeFile(
    join(directory, 'backup.yaml'),
    `application: shop
repository: { path: ./backups }
plugins: [./key-value.mjs]
components:
  key_value: { path: ./data/store.jsonl }
${yaml}`,
  );
  return store;
}

describe('a custom component', () => {
  it('is backed up, verified, restored to a directory and in place, and undone', async () => {
    await using temp = await tempDir();
    const store = await application(temp.path);
    const app = await openApplication(temp.path);
    const { backup } = await app.must<CreateResult>({ command: 'create', name: 'one', trigger: 'manual' });
    expect(backup).toMatchObject({
      status: 'complete',
      components: {
        'key_value:main': { type: 'key_value', status: 'complete', facts: { records: 1000, lastSeq: 1000 } },
      },
    });
    const packs = await readdir(join(temp.path, 'backups/custom'), { recursive: true });
    expect(packs.filter((name) => name.endsWith('.pack'))).not.toEqual([]);
    expect(await readdir(join(temp.path, 'backups'))).not.toContain('files');

    const verified = await app.must<VerifyResult>({ command: 'verify', name: 'one', level: 'full' });
    expect(verified).toMatchObject({ status: 'ok', damaged: [] });
    const target = join(temp.path, 'restored');
    await app.must<RestoreResult>({ command: 'restore', name: 'one', target });
    expect(await readFile(join(target, 'data/store.jsonl'), 'utf8')).toBe(records(1, 1000));

    await writeFile(store, records(1, 7));
    const restored = await app.must<RestoreResult>({ command: 'restore', name: 'one' });
    expect(await readFile(store, 'utf8')).toBe(records(1, 1000));
    expect(restored.components['key_value:main']?.notes.join()).toMatch(/Restart the program/);
    expect(restored.undo).toMatch(/^safety_/);
    await app.must({ command: 'undo' });
    expect(await readFile(store, 'utf8')).toBe(records(1, 7));
    await app.engine.close();
  });

  it('that finds its source damaged keeps it, and the backup says so', async () => {
    await using temp = await tempDir();
    const store = await application(temp.path);
    await writeFile(store, `${records(1, 2)}garbage\n`);
    const app = await openApplication(temp.path);
    const view = await app.run({ command: 'create', name: 'one', trigger: 'manual' });
    expect(view.status).not.toBe('succeeded');
    await app.must({ command: 'restore', name: 'one', target: join(temp.path, 'out') });
    expect(await readFile(join(temp.path, 'out/data/store.jsonl'), 'utf8')).toBe(`${records(1, 2)}garbage\n`);
    await app.engine.close();
  });

  it.each([
    ['whose plugin is missing', 'plugins: [./gone.mjs]', /line 1: plugins: ".*gone\.mjs" does not exist/],
    ['whose plugin is broken', 'plugins: [./broken.mjs]', /broken\.mjs" cannot be loaded: not today$/],
    ['whose plugin exports nothing of use', 'plugins: [./empty.mjs]', /has neither a default export nor/],
    ['whose plugin is not listed', '', /key_value is not a kind of component, and no plugin is listed/],
    ['whose plugin defines another type', 'plugins: [./other.mjs]', /key_value:main is of type "key_value", which no/],
    ['whose plugin lies in the repository', 'plugins: [./backups/in.mjs]', /lies inside the repository/],
  ])('%s is refused before anything is opened', async (_what, plugins, expected) => {
    await using temp = await tempDir();
    await application(temp.path);
    const component = 'components: { key_value: { path: ./data/store.jsonl } }\n';
    await writeFile(join(temp.path, 'backup.yaml'), `${plugins}\n${component}repository: { path: ./backups }\n`);
    await writeFile(join(temp.path, 'broken.mjs'), 'throw new Error("not today");\n');
    await writeFile(join(temp.path, 'empty.mjs'), 'export const x = 1;\n');
    await writeFile(join(temp.path, 'other.mjs'), 'export default { type: "other", driver: "x", open() {} };\n');
    await mkdir(join(temp.path, 'backups'));
    await copyFile(join(EXAMPLE, 'key-value.mjs'), join(temp.path, 'backups/in.mjs'));
    await expect(openApplication(temp.path)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(expected) as string,
      hint: expect.stringMatching(/\w/) as string,
    });
  });
});

describe('the guide to custom components', () => {
  /** `file#region` → its lines, without what they are indented by. */
  const region = async (reference: string): Promise<string> => {
    const [file, name] = reference.split('#');
    const text = await readFile(join(EXAMPLE, file ?? ''), 'utf8');
    const found = new RegExp(`^ *// #region ${name ?? ''}\\n([^]*?)^ *// #endregion`, 'm').exec(text)?.[1];
    if (found === undefined) throw new Error(`There is no region "${name ?? ''}" in ${file ?? ''}`);
    const lines = found.trimEnd().split('\n');
    const indent = Math.min(...lines.filter((line) => line !== '').map((line) => line.search(/\S/)));
    return lines.map((line) => line.slice(indent)).join('\n');
  };

  it('shows the example as it is', async () => {
    const guide = await readFile(GUIDE, 'utf8');
    const blocks = [...guide.matchAll(/^<!-- (\S+#\S+) -->\n```\w+\n([^]*?)\n```$/gm)];
    const shown = await Promise.all(blocks.map(async ([, reference]) => region(reference ?? '')));
    expect(blocks.map(([, , code]) => code)).toEqual(shown);
    // Every block of code is one of them.
    expect(guide.match(/^```(js|ts)$/gm)?.length).toBe(blocks.length);
    expect(blocks.map(([, reference]) => reference)).toEqual([
      'key-value.mjs#driver',
      'key-value.mjs#component',
      'key-value.mjs#dump',
      'key-value.mjs#records',
      'key-value.mjs#restore',
      'key-value.test.ts#conformance',
    ]);
  });
});
