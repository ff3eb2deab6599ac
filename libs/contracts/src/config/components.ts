import { closest } from './suggest.ts';
import { INSTANCE_NAME } from './sections.ts';
import type { ConfigIssue, ConfigTree, ConfigValue } from './issues.ts';
import { MAX_ISSUES, isTree, issue } from './issues.ts';

/** One component instance as it is configured. Its driver checks the keys of `config`. */
export interface ComponentSpec {
  /** `<type>:<name>`; the only one of a kind that is written without a name is `<type>:main`. */
  readonly instance: string;
  /** `database`, `files`, `config`, `vector_store` or the type of a plugin. */
  readonly type: string;
  /** The `driver` key; absent: the kind's usual one. */
  readonly driver?: string;
  /** The whole mapping as written, `driver` included. */
  readonly config: Readonly<Record<string, unknown>>;
}

export const COMPONENT_TYPES = ['database', 'files', 'config', 'vector_store'] as const;

/** Keys that mark a mapping as the configuration of one component. None of them can be the name of an instance. */
export const SINGLE_COMPONENT_KEYS = ['driver', 'path', 'include', 'url'] as const;

const CUSTOM_TYPE = /^[a-z][a-z0-9_]{0,31}$/;
const MAX_INSTANCES = 200;

const EXAMPLES: Readonly<Record<string, string>> = {
  database: 'database: { driver: sqlite, path: ./data/app.db }',
  files: 'files: { include: [./data/uploads] }',
  config: 'config: { include: [./data/config] }',
  vector_store: 'vector_store: { driver: faiss, path: ./data/vector_store }',
};
const SECTION_EXAMPLE = 'components: { database: { driver: sqlite, path: ./data/app.db } }';

/**
 * The components section as a flat list. Of each kind either one configuration or a mapping of named ones
 * (`database: { main: {…}, analytics: {…} }`). It is *one* configuration if it has any of the keys `driver`, `path`,
 * `include` or `url`, or any value that is not a mapping (`config: { env: [LOG_LEVEL] }`); otherwise its keys are names.
 *
 * A kind that is not built in needs a plugin that may define it; without `plugins` it is taken for a slip.
 */
export function componentSpecs(
  section: ConfigValue | undefined,
  plugins: boolean,
  issues: ConfigIssue[],
): ComponentSpec[] {
  if (section === undefined || section === null) {
    issues.push(issue(['components'], 'is missing: there is nothing to protect', SECTION_EXAMPLE));
    return [];
  }
  if (!isTree(section) || Object.keys(section).length === 0) {
    issues.push(
      issue(['components'], 'must be a mapping from kinds of component to their configuration', SECTION_EXAMPLE),
    );
    return [];
  }
  const out: ComponentSpec[] = [];
  for (const [type, value] of Object.entries(section)) {
    if (issues.length >= MAX_ISSUES) break;
    if (isKnownType(type, plugins, issues)) out.push(...specsOfKind(type, value, issues));
  }
  if (out.length > MAX_INSTANCES) {
    issues.push(issue(['components'], `has more than ${String(MAX_INSTANCES)} instances`, SECTION_EXAMPLE));
  }
  return out;
}

function isKnownType(type: string, plugins: boolean, issues: ConfigIssue[]): boolean {
  if ((COMPONENT_TYPES as readonly string[]).includes(type)) return true;
  if (plugins && CUSTOM_TYPE.test(type)) return true;
  const reason = plugins
    ? 'is not a kind of component (1 to 32 lower-case letters, digits or underscores, a letter first)'
    : 'is not a kind of component, and no plugin is listed that could define it';
  issues.push(issue(['components', type], reason, SECTION_EXAMPLE, closest(type, COMPONENT_TYPES)));
  return false;
}

function specsOfKind(type: string, value: ConfigValue, issues: ConfigIssue[]): ComponentSpec[] {
  const example = EXAMPLES[type] ?? `${type}: { driver: my-driver }`;
  if (!isTree(value) || Object.keys(value).length === 0) {
    issues.push(issue(['components', type], 'must be a mapping with the configuration of the component', example));
    return [];
  }
  if (isSingle(value)) return [spec(type, 'main', value, ['components', type], example, issues)].filter(isSpec);
  const out: ComponentSpec[] = [];
  for (const [name, config] of Object.entries(value)) {
    const path = ['components', type, name];
    if (!INSTANCE_NAME.test(name)) {
      issues.push(
        issue(path, 'is not a name for an instance (1 to 32 of a-z, 0-9, "_", "-")', `${type}: { main: { … } }`),
      );
      continue;
    }
    // isSingle() has seen to it that the values are mappings.
    const one = isTree(config) ? spec(type, name, config, path, example, issues) : undefined;
    if (one) out.push(one);
  }
  return out;
}

function isSingle(value: ConfigTree): boolean {
  if (SINGLE_COMPONENT_KEYS.some((key) => Object.hasOwn(value, key))) return true;
  return !Object.values(value).every(isTree);
}

function isSpec(value: ComponentSpec | undefined): value is ComponentSpec {
  return value !== undefined;
}

function spec(
  type: string,
  name: string,
  config: ConfigTree,
  path: readonly string[],
  example: string,
  issues: ConfigIssue[],
): ComponentSpec | undefined {
  const driver = config['driver'];
  if (driver === undefined) return { instance: `${type}:${name}`, type, config };
  if (typeof driver !== 'string' || !/^[a-z][a-z0-9_-]{0,63}$/.test(driver)) {
    issues.push(
      issue([...path, 'driver'], 'must be the name of a driver (lower-case letters, digits, dashes)', example),
    );
    return undefined;
  }
  return { instance: `${type}:${name}`, type, driver, config };
}
