import { pathToFileURL } from 'node:url';
import { BackupError, printable } from '@foodsave-backup/kernel';
import { componentApi, type ComponentDriver } from '@foodsave-backup/component';
import type { ComponentSpec } from '@foodsave-backup/contracts/types';
import { contains, real } from '../config/paths.ts';
import { configInvalid, type ConfigProblem } from '../config/problems.ts';
import { BUILT_IN_DRIVERS } from '../drivers.ts';
import { resolvePlugin, type Refusal } from './resolve-plugin.ts';

interface PluginConfig {
  readonly source: string;
  readonly baseDir: string;
  readonly repositoryPath: string;
  /** Absolute paths or names of packages. */
  readonly plugins: readonly string[];
  readonly components: readonly ComponentSpec[];
}

interface LoadPluginsOptions {
  /** Line of a key in the configuration file, from 1. */
  lineOf: (path: readonly (string | number)[]) => number | undefined;
  /** How long one plugin may take to load, in ms. */
  timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;
const TYPE = /^[a-z][a-z0-9_]{0,31}$/;
const DRIVER = /^[a-z][a-z0-9_-]{0,31}$/;
const EXPORT_HINT =
  'Export what defineComponent() gives, or a list of them, or a function that takes the tools of this software and gives them: export default ({ defineComponent }) => defineComponent({ … }).';

/**
 * Imports the plugins of a configuration and gives the drivers that they define, in their order. Plugins are code: they run
 * with all rights of this process. Throws CONFIG_INVALID, which names each plugin that cannot be used, why, and what to do.
 */
export async function loadPlugins(config: PluginConfig, options: LoadPluginsOptions): Promise<ComponentDriver[]> {
  const drivers: ComponentDriver[] = [];
  const problems: ConfigProblem[] = [];
  const owners = new Map(BUILT_IN_DRIVERS.map((driver) => [nameOf(driver), 'is built in']));
  for (const [index, plugin] of config.plugins.entries()) {
    const refuse = ({ reason, hint }: Refusal): void => {
      const key = `plugins: "${printable(plugin)}"`;
      problems.push({ key, reason, hint, line: options.lineOf(['plugins', index]) });
    };
    const loaded = await load(plugin, config, options.timeoutMs ?? TIMEOUT_MS);
    if ('reason' in loaded) {
      refuse(loaded);
      continue;
    }
    for (const driver of loaded.drivers) {
      const owner = owners.get(nameOf(driver));
      if (owner === undefined) {
        owners.set(nameOf(driver), `is defined by "${printable(plugin)}" already`);
        drivers.push(driver);
      } else {
        refuse({
          reason: `defines the driver "${driver.driver}" of type "${driver.type}", which ${owner}`,
          hint: 'Give the type or the driver in the plugin another name.',
        });
      }
    }
  }
  if (problems.length === 0) problems.push(...componentProblems(config.components, drivers, options.lineOf));
  if (problems.length > 0) throw configInvalid(config.source, problems);
  return drivers;
}

function nameOf({ type, driver }: ComponentDriver): string {
  return `${type}/${driver}`;
}

async function load(
  plugin: string,
  config: PluginConfig,
  timeoutMs: number,
): Promise<{ drivers: ComponentDriver[] } | Refusal> {
  const resolved = await resolvePlugin(plugin, config.baseDir);
  if ('reason' in resolved) return resolved;
  if (contains(await real(config.repositoryPath), resolved.file)) {
    return {
      reason: 'lies inside the repository, so that whoever may write backups could run code here',
      hint: 'Move it elsewhere, for example beside the configuration file.',
    };
  }
  try {
    return checked(await inTime(exported(resolved.file), timeoutMs));
  } catch (error) {
    return failure(error, resolved.file);
  }
}

async function exported(file: string): Promise<unknown> {
  const module = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as Record<string, unknown>;
  const value = module['default'] ?? module['drivers'];
  return typeof value === 'function' ? (value as (api: typeof componentApi) => unknown)(componentApi) : value;
}

/** A timer keeps the process alive, which would otherwise end without a word when a plugin waits for nothing. */
async function inTime<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new BackupError('TIMEOUT', `it took longer than ${ms / 1000} seconds`));
    }, ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function checked(value: unknown): { drivers: ComponentDriver[] } | Refusal {
  if (value === undefined || value === null) {
    return { reason: 'has neither a default export nor one named "drivers"', hint: EXPORT_HINT };
  }
  const list: unknown[] = Array.isArray(value) ? value : [value];
  const drivers = list.filter(isDriver);
  if (list.length > 0 && drivers.length === list.length) return { drivers };
  return { reason: 'does not define a component', hint: EXPORT_HINT };
}

function isDriver(value: unknown): value is ComponentDriver {
  if (typeof value !== 'object' || value === null) return false;
  const { type, driver, open } = value as Partial<Record<keyof ComponentDriver, unknown>>;
  return (
    typeof type === 'string' &&
    TYPE.test(type) &&
    typeof driver === 'string' &&
    DRIVER.test(driver) &&
    typeof open === 'function'
  );
}

/** The first line of what was thrown, without a stack. Where an error of syntax is, only Node.js itself can show. */
function failure(error: unknown, file: string): Refusal {
  const text = error instanceof Error ? error.message : String(error);
  const what = printable((text.split('\n')[0] ?? '').slice(0, 300)) || 'it threw no message';
  const own = error instanceof BackupError ? error.hint : undefined;
  const command = error instanceof SyntaxError ? `node --check ${printable(file)}` : `node ${printable(file)}`;
  return {
    reason: `cannot be loaded: ${what}`,
    hint: own ?? `Correct the plugin ("${command}" shows the place), or take it out of "plugins".`,
  };
}

function componentProblems(
  components: readonly ComponentSpec[],
  drivers: readonly ComponentDriver[],
  lineOf: LoadPluginsOptions['lineOf'],
): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const builtIn = new Set(BUILT_IN_DRIVERS.map((one) => one.type));
  const types = [...new Set(drivers.map((one) => one.type))];
  for (const { instance, type, driver } of components) {
    if (builtIn.has(type)) continue;
    const line = lineOf(['components', type]);
    const known = drivers.filter((one) => one.type === type).map((one) => one.driver);
    if (known.length === 0) {
      const reason = `is of type "${type}", which no plugin defines`;
      const hint = `The plugins define ${types.join(', ')}; built in are ${[...builtIn].join(', ')}. List the plugin of "${type}" under "plugins", or correct the name.`;
      problems.push({ key: `components: ${instance}`, reason, hint, line });
    } else if (driver === undefined ? known.length > 1 : !known.includes(driver)) {
      const reason = driver === undefined ? 'names no driver, but there are several' : `has no driver "${driver}"`;
      problems.push({ key: `components: ${instance}`, reason, hint: `Drivers of ${type}: ${known.join(', ')}.`, line });
    }
  }
  return problems;
}
