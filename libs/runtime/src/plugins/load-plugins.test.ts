import { execFileSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MINIMAL, shown, Workspace } from '../config/testing/workspace.ts';
import { engineDeps } from '../open-engine.ts';
import { loadPlugins } from './load-plugins.ts';

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace();
});
afterEach(() => {
  workspace.remove();
});

const driver = (type: string, name = 'plain'): string => `{ type: '${type}', driver: '${name}', open() {} }`;

/** The drivers that a configuration with these plugins has, as `type/driver`. */
async function driversOf(plugins: string, components = MINIMAL): Promise<string[]> {
  workspace.write('backup.yaml', `${components}plugins: ${plugins}\n`);
  return (await workspace.load()).customDrivers.map((one) => `${one.type}/${one.driver}`);
}

async function refusal(plugins: string, components = MINIMAL): Promise<{ message: string; hint: string }> {
  workspace.write('backup.yaml', `${components}plugins: ${plugins}\n`);
  const { message, hint } = await workspace.refusal();
  expect(`${message}\n${hint ?? ''}`).not.toMatch(/^\s+at /m);
  expect(hint).toBeTruthy();
  return { message, hint: hint ?? '' };
}

describe('a plugin', () => {
  it.each([
    ['a driver', `export default ${driver('mail')};`, ['mail/plain']],
    ['a list', `export default [${driver('mail')}, ${driver('mail', 'other')}];`, ['mail/plain', 'mail/other']],
    ['the name "drivers"', `export const drivers = [${driver('mail')}];`, ['mail/plain']],
    [
      'a function of our tools',
      'export default ({ defineComponent }) => defineComponent({ type: "mail", driver: "x", open() {} });',
      ['mail/x'],
    ],
    ['a function that takes its time', `export default async () => [${driver('mail')}];`, ['mail/plain']],
    ['another driver of a built-in type', `export default ${driver('database', 'dump')};`, ['database/dump']],
  ])('may export %s', async (_what, code, expected) => {
    workspace.write('a.mjs', `${code}\n`);
    expect(await driversOf('[./a.mjs]')).toEqual(expected);
  });

  it('may be a package, for require or for import only, above the configuration', async () => {
    workspace.write('node_modules/one/package.json', '{ "main": "m.cjs" }');
    workspace.write('node_modules/one/m.cjs', `module.exports = ${driver('one')};\n`);
    const exports = { '.': { types: './m.d.ts', import: { default: './m.mjs' } } };
    workspace.write('node_modules/@x/two/package.json', JSON.stringify({ exports }));
    workspace.write('node_modules/@x/two/m.mjs', `export default ${driver('two')};\n`);
    expect(await driversOf('[one, "@x/two"]')).toEqual(['one/plain', 'two/plain']);
  });

  it('gives its drivers to the engine; a component needs no driver key where its type has one driver', async () => {
    workspace.write('a.mjs', `export default ${driver('mail')};\n`);
    workspace.write('backup.yaml', 'components: { mail: { path: x } }\nplugins: [./a.mjs]\n');
    const { config, drivers } = engineDeps(await workspace.load());
    expect(config.components).toMatchObject([{ instance: 'mail:main', type: 'mail', driver: 'plain' }]);
    expect(drivers.map((one) => one.type)).toEqual(expect.arrayContaining(['database', 'files', 'mail']));
  });
});

describe('a plugin is refused, by name and with what to do:', () => {
  it.each([
    ['that is missing', undefined, /line 2: plugins: ".*a\.mjs" does not exist/],
    ['without a definition', 'export const x = 1;', /has neither a default export nor one named "drivers"/],
    ['with something else', 'export default 7;', /does not define a component/],
    ['with an empty list', 'export default [];', /does not define a component/],
    ['with one wrong of two', `export default [${driver('mail')}, {}];`, /does not define a component/],
    ['without open', "export default { type: 'mail', driver: 'x' };", /does not define a component/],
    ['with a type that is none', `export default ${driver('Mail')};`, /does not define a component/],
    [
      'whose type is refused by defineComponent',
      'export default (api) => api.defineComponent({ type: "A", driver: "x", open() {} });',
      /cannot be loaded: "A" cannot be the type of a component/,
    ],
    ['that throws', 'throw new Error("no licence\\nmore");', /cannot be loaded: no licence$/],
    ['that throws no error', 'throw undefined;', /cannot be loaded: undefined$/],
    ['with an import that is not there', 'import "./gone.mjs";', /cannot be loaded: .*gone\.mjs/],
    ['with a built-in driver', `export default ${driver('files', 'directory')};`, /"files", which is built in/],
    [
      'with one driver twice',
      `export default [${driver('mail')}, ${driver('mail')}];`,
      /which is defined by ".*a\.mjs" already/,
    ],
  ])('one %s', async (_what, code, expected) => {
    if (code !== undefined) workspace.write('a.mjs', `${code}\n`);
    expect((await refusal('[./a.mjs]')).message).toMatch(expected);
  });

  it.each([
    ['a directory', './data/', /is not a file/],
    ['a package that is not installed', 'not-installed-anywhere', /is a package that is not installed/],
    ['a built-in module', 'node:fs', /neither a path nor the name of a package/],
    ['a built-in module without its prefix', 'fs', /neither a path nor the name of a package/],
    ['an address', '"https://example.org/x.mjs"', /neither a path nor the name of a package/],
    ['code', '"data:text/javascript,export default 1"', /neither a path nor the name of a package/],
    ['a way out of a package', '"one/../../x.mjs"', /neither a path nor the name of a package/],
  ])('%s', async (_what, plugin, expected) => {
    workspace.write('data/x', '');
    expect((await refusal(`[${plugin}]`)).message).toMatch(expected);
  });

  it('one inside the repository, also behind a link', async () => {
    workspace.write('backups/a.mjs', `export default ${driver('mail')};\n`);
    symlinkSync('backups/a.mjs', workspace.path('b.mjs'));
    for (const plugin of ['./backups/a.mjs', './b.mjs']) {
      const { message, hint } = await refusal(`[${plugin}]`, `${MINIMAL}repository: { path: ./backups }\n`);
      expect(message).toMatch(/lies inside the repository/);
      expect(hint).toMatch(/Move it/);
    }
  });

  it('several at once', async () => {
    workspace.write('b.mjs', 'export default 1;\n');
    const { message } = await refusal('[./a.mjs, ./b.mjs]');
    expect(message).toMatch(/2 problems:[\s\S]*a\.mjs" does not exist[\s\S]*b\.mjs" does not define/);
  });

  it('one that never ends loading', async () => {
    const plugins = [workspace.write('a.mjs', 'await new Promise(() => {});\n')];
    const config = {
      source: 'backup.yaml',
      baseDir: workspace.dir,
      repositoryPath: workspace.path('r'),
      plugins,
      components: [],
    };
    const error: unknown = await loadPlugins(config, { lineOf: () => 3, timeoutMs: 20 }).catch((e: unknown) => e);
    expect(shown(error)).toMatch(/line 3: plugins: ".*a\.mjs" cannot be loaded: it took longer than 0\.02 seconds/);
  });

  // Node.js itself: under the test runner another parser would find the error.
  it('one with an error of syntax, with how to find it', () => {
    const plugin = workspace.write('a.mjs', 'const a = 1;\nconst b = ;\n');
    const config = {
      source: 'b.yaml',
      baseDir: workspace.dir,
      repositoryPath: '/r',
      plugins: [plugin],
      components: [],
    };
    const script = `
      import { loadPlugins } from ${JSON.stringify(fileURLToPath(new URL('load-plugins.ts', import.meta.url)))};
      const error = await loadPlugins(${JSON.stringify(config)}, { lineOf() {} }).catch((e) => e);
      process.stdout.write(JSON.stringify(error));`;
    const run = ['--conditions=@foodsave-backup/source', '--input-type=module', '--eval', script];
    const error = JSON.parse(execFileSync(process.execPath, run, { encoding: 'utf8' })) as Record<string, unknown>;
    expect(error).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/a\.mjs" cannot be loaded: Unexpected token ';'$/) as string,
      hint: expect.stringMatching(/node --check \/.*a\.mjs/) as string,
    });
  });
});

describe('a component of a custom type', () => {
  it.each([
    ['that no plugin defines', '[./a.mjs]', 'queue: { path: x }', /queue:main is of type "queue", which no plugin/],
    ['that names no driver of two', '[./a.mjs, ./b.mjs]', 'mail: { path: x }', /mail:main names no driver/],
    ['that names an unknown one', '[./a.mjs]', 'mail: { driver: z }', /mail:main has no driver "z"/],
  ])('%s is refused', async (_what, plugins, component, expected) => {
    workspace.write('a.mjs', `export default ${driver('mail')};\n`);
    workspace.write('b.mjs', `export default ${driver('mail', 'other')};\n`);
    const { message, hint } = await refusal(plugins, `components: { ${component} }\n`);
    expect(message).toMatch(expected);
    expect(hint).toMatch(/plain|mail/);
  });
});
