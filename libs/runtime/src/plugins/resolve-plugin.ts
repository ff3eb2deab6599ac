import { readFile, realpath, stat } from 'node:fs/promises';
import { createRequire, isBuiltin } from 'node:module';
import { isAbsolute, join } from 'node:path';
import { systemErrorCode } from '@foodsave-backup/kernel';

/** Why a plugin cannot be used, and what to do. */
export interface Refusal {
  reason: string;
  hint: string;
}

const PACKAGE_NAME = /^(@[a-z0-9~][a-z0-9._~-]*\/)?[a-z0-9~][a-z0-9._~-]*(\/[a-z0-9._~/-]+)?$/i;

/**
 * The real path of a plugin's module. `plugin`: an absolute path, or the name of a package, which is looked for in the
 * `node_modules` of `baseDir` and of the directories above it, as Node.js does.
 */
export async function resolvePlugin(plugin: string, baseDir: string): Promise<{ file: string } | Refusal> {
  if (isAbsolute(plugin)) return fileAt(plugin);
  if (!PACKAGE_NAME.test(plugin) || plugin.includes('..') || isBuiltin(plugin)) {
    return {
      reason: 'is neither a path nor the name of a package',
      hint: 'Write a path that starts with "./", "../" or "/", for example ./backup/mail.mjs, or the name of a package.',
    };
  }
  const file = await packageFile(plugin, baseDir);
  if (file !== undefined) return fileAt(file);
  return {
    reason: 'is a package that is not installed, or that has no module to import',
    hint: `Install it with npm in ${baseDir}. For a file beside the configuration write ./${plugin}.`,
  };
}

async function fileAt(path: string): Promise<{ file: string } | Refusal> {
  try {
    if ((await stat(path)).isFile()) return { file: await realpath(path) };
    return { reason: 'is not a file', hint: 'Name the module itself, for example ./backup/mail.mjs.' };
  } catch (error) {
    const code = systemErrorCode(error);
    return code === 'ENOENT' || code === 'ENOTDIR'
      ? { reason: 'does not exist', hint: 'Correct the path. It is relative to the configuration file.' }
      : { reason: `cannot be read (${code ?? 'unknown error'})`, hint: 'Check the owner and the mode of the path.' };
  }
}

async function packageFile(name: string, baseDir: string): Promise<string | undefined> {
  const require = createRequire(join(baseDir, 'backup.yaml'));
  try {
    return require.resolve(name);
  } catch {
    return importedFile(name, require.resolve.paths(name) ?? []);
  }
}

/** `require.resolve` does not see packages that can only be imported: their `exports` name no file for `require`. */
async function importedFile(name: string, directories: readonly string[]): Promise<string | undefined> {
  for (const directory of directories) {
    const at = join(directory, name);
    const text = await readFile(join(at, 'package.json'), 'utf8').catch(() => undefined);
    const target = text === undefined ? undefined : importTarget(text);
    if (target !== undefined) return join(at, target);
  }
  return undefined;
}

/** The file of the main export: https://nodejs.org/api/packages.html#conditional-exports. */
function importTarget(packageJson: string): string | undefined {
  let found: unknown;
  try {
    found = property(JSON.parse(packageJson), 'exports');
  } catch {
    return undefined;
  }
  found = property(found, '.') ?? found;
  while (typeof found === 'object' && found !== null) {
    found = property(found, 'node') ?? property(found, 'import') ?? property(found, 'default');
  }
  return typeof found === 'string' && found.startsWith('./') ? found : undefined;
}

function property(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;
}
