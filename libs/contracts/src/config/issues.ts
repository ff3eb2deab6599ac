/** What YAML and JSON can say, after `cleanTree`. */
export type ConfigValue = string | number | boolean | null | ConfigValue[] | ConfigTree;
export interface ConfigTree {
  [key: string]: ConfigValue;
}

/** Something wrong at one place of the configuration. Texts never contain a value: it could be a secret. */
export interface ConfigIssue {
  /** Where: keys and list positions from the top. Empty: the whole. */
  readonly path: readonly (string | number)[];
  /** The same for people: `retention.daily`, `copies[0].url`. */
  readonly key: string;
  /** A predicate: "must be a whole number". */
  readonly reason: string;
  /** Something that would be accepted. */
  readonly example: string;
  /** The key that was probably meant. */
  readonly suggestion?: string;
}

export function issue(
  path: readonly (string | number)[],
  reason: string,
  example: string,
  suggestion?: string,
): ConfigIssue {
  const base = { path, key: keyText(path), reason, example };
  return suggestion === undefined ? base : { ...base, suggestion };
}

function keyText(path: readonly (string | number)[]): string {
  let out = '';
  for (const step of path) {
    if (typeof step === 'number') out += `[${String(step)}]`;
    else out += `${out === '' ? '' : '.'}${shownKey(step)}`;
  }
  return out;
}

/** Long and odd keys are not shown: a flow mapping without its colon (`{ s3cret… }`) makes a key of a value. */
function shownKey(key: string): string {
  return /^[\p{L}\p{N}_.: -]{1,32}$/u.test(key) ? key : '(a key)';
}

export function isTree(value: unknown): value is ConfigTree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** More are not looked for: the rest is told once these are solved. */
export const MAX_ISSUES = 50;
const MAX_DEPTH = 20;
const MAX_NODES = 20_000;
// Names that plain objects give a meaning of their own: as keys they could change how later code sees the object.
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * A copy of `value` made of plain mappings, lists and scalars alone, or `undefined` with the reason in `issues`. At most
 * 20,000 nodes, 20 levels deep, so that whatever works on it afterwards is bounded.
 */
export function cleanTree(value: unknown, issues: ConfigIssue[]): ConfigValue | undefined {
  const before = issues.length;
  const clean = copyNode(value, [], { nodes: 0, issues });
  return issues.length > before ? undefined : clean;
}

type Path = readonly (string | number)[];

function copyNode(node: unknown, path: Path, state: { nodes: number; issues: ConfigIssue[] }): ConfigValue {
  const refuse = (reason: string): null => {
    if (state.issues.length < MAX_ISSUES) state.issues.push(issue(path, reason, 'application: foodsave'));
    return null;
  };
  state.nodes += 1;
  if (state.nodes > MAX_NODES) {
    return state.nodes === MAX_NODES + 1 ? refuse(`has more than ${String(MAX_NODES)} values`) : null;
  }
  if (path.length > MAX_DEPTH) return refuse(`is nested deeper than ${String(MAX_DEPTH)} levels`);
  if (node === null || typeof node === 'string' || typeof node === 'boolean') return node;
  if (typeof node === 'number') return Number.isFinite(node) ? node : refuse('must be a finite number');
  if (Array.isArray(node)) return node.map((item: unknown, i) => copyNode(item, [...path, i], state));
  if (typeof node !== 'object' || !isPlain(node)) {
    return refuse('must be a text, a number, true, false, a list or a mapping');
  }
  const entries: [string, ConfigValue][] = [];
  for (const [key, item] of Object.entries(node)) {
    if (FORBIDDEN_KEYS.has(key)) refuse(`has a key that cannot be used: ${key}`);
    else if (item !== undefined) entries.push([key, copyNode(item, [...path, key], state)]);
  }
  return Object.fromEntries(entries);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
