import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument, visit } from 'yaml';
import type { Document, Node, YAMLError } from 'yaml';
import { configInvalid } from './problems.ts';

/** A parsed YAML file: its value, and where in the text a key stands. */
export interface YamlSource {
  readonly value: unknown;
  /** Line (from 1) of the key or list item at `path`, or of its nearest ancestor that the text has. */
  readonly lineOf: (path: readonly (string | number)[]) => number | undefined;
}

/**
 * What the parser found, in words of our own: its messages quote the text, which may hold a secret in the wrong place.
 */
const REASONS: Readonly<Record<YAMLError['code'], string>> = {
  ALIAS_PROPS: 'an alias (*) cannot have an anchor or a tag',
  BAD_ALIAS: 'an alias (*) is not valid or refers to nothing before it',
  BAD_DIRECTIVE: 'a directive (%) is not valid',
  BAD_DQ_ESCAPE: 'a text in double quotes has an escape (\\) that YAML does not know; use single quotes',
  BAD_INDENT: 'the indentation is wrong, or a closing bracket or brace is missing',
  BAD_PROP_ORDER: 'an anchor or a tag is in the wrong place',
  BAD_SCALAR_START: 'a value starts with a reserved character; put it in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a key has a nested mapping on its own line; put texts with ": " in quotes',
  BLOCK_IN_FLOW: 'a block mapping or list is inside { } or [ ]',
  DUPLICATE_KEY: 'a key is written twice',
  IMPOSSIBLE: 'the text is not YAML',
  KEY_OVER_1024_CHARS: 'a key is longer than 1024 characters',
  MISSING_CHAR: 'a character is missing: a closing quote, bracket or brace, a comma, or the space after a colon',
  MULTILINE_IMPLICIT_KEY: 'a key goes over several lines; a colon or a closing quote may be missing',
  MULTIPLE_ANCHORS: 'a value has several anchors',
  MULTIPLE_DOCS: 'there are several documents (---) in one file',
  MULTIPLE_TAGS: 'a value has several tags',
  NON_STRING_KEY: 'a key is not a text; put it in quotes',
  RESOURCE_EXHAUSTION: 'it is nested too deeply or refers to itself too often',
  TAB_AS_INDENT: 'a tab is used for indentation; use spaces',
  TAG_RESOLVE_FAILED: 'a value has a tag (!) that is not known or does not fit',
  UNEXPECTED_TOKEN: 'something stands where YAML does not allow it',
  BAD_COLLECTION_TYPE: 'a tag (!) does not fit the mapping or list it stands at',
};

const MAX_ALIASES = 100;
const MAX_LINES = 20_000;
const MAX_LINE_LENGTH = 64 * 1024;

/**
 * Parses YAML 1.2 (core schema). Refused, with the line and without quoting the text: everything that is not valid,
 * repeated keys, tabs as indentation, unknown tags, keys that are not texts, several documents, more than 20,000 lines, a
 * line of more than 64 KiB, more than 100 aliases or what they unfold to more than a hundredfold. Throws CONFIG_INVALID.
 */
export function parseYaml(text: string, source: string): YamlSource {
  const lines = new LineCounter();
  const refuse = (reason: string, offset?: number, key = ''): never => {
    const line = offset === undefined ? undefined : lines.linePos(offset).line;
    throw configInvalid(source, [{ key, reason, line, hint: HINT }]);
  };
  // The parser takes more than linear time for some texts: these limits keep every text within seconds.
  const rows = text.split('\n');
  if (rows.length > MAX_LINES) refuse(`it has more than ${String(MAX_LINES)} lines`);
  if (rows.some((row) => row.length > MAX_LINE_LENGTH))
    refuse(`a line is longer than ${String(MAX_LINE_LENGTH)} characters`);
  // The cause of a failure is left out on purpose: the parser's errors quote the text.
  const document = attempt(() => parse(text, lines)) ?? refuse(REASONS.RESOURCE_EXHAUSTION);
  const failed = document.errors[0] ?? document.warnings[0];
  if (failed) refuse(REASONS[failed.code], failed.pos[0]);
  inspect(document, refuse);
  const result = attempt(() => ({ value: document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown }));
  const { value } = result ?? refuse('its aliases (*) unfold too far');
  return {
    value,
    lineOf: (path) => {
      const offset = offsetOf(document, path);
      return offset === undefined ? undefined : lines.linePos(offset).line;
    },
  };
}

const HINT = 'Compare the place with the example in the documentation, or check the file with a YAML linter.';

function parse(text: string, lineCounter: LineCounter): Document.Parsed {
  return parseDocument(text, {
    version: '1.2',
    schema: 'core',
    strict: true,
    stringKeys: true,
    // inspect() does it: the parser compares every key with every other, four minutes for 100,000 keys.
    uniqueKeys: false,
    prettyErrors: false,
    // Not `silent`, with which several documents pass unnoticed.
    logLevel: 'error',
    lineCounter,
  });
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}

/** Refuses repeated keys and too many aliases. */
function inspect(document: Document.Parsed, refuse: (reason: string, offset?: number, key?: string) => never): void {
  let aliases = 0;
  visit(document, {
    Alias: (_key, node) => {
      const at = node.range?.[0];
      if (++aliases > MAX_ALIASES) refuse(`it has more than ${String(MAX_ALIASES)} aliases (*)`, at);
      const target = node.resolve(document) ?? refuse(REASONS.BAD_ALIAS, at);
      const [from, to] = target.range ?? [0, 0];
      if (at !== undefined && from <= at && at < to) refuse('an alias (*) refers to what it is part of', at);
    },
    Map: (_key, map) => {
      const seen = new Set<string>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        if (seen.has(name)) refuse('is written twice', key.range?.[0], shownKey(name));
        seen.add(name);
      }
    },
  });
}

/** A key as it may be shown: a text that does not look like the name of a key may be a value in the wrong place. */
function shownKey(name: string): string {
  return /^[A-Za-z][A-Za-z0-9_-]{0,31}$/.test(name) ? name : 'a key';
}

function offsetOf(document: Document.Parsed, path: readonly (string | number)[]): number | undefined {
  let node: Node | null | undefined = document.contents;
  let offset: number | undefined;
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document);
    let next: unknown;
    let at: unknown;
    if (isMap(node)) {
      const pair: { key: unknown; value: unknown } | undefined = node.items.find(
        (item) => isScalar(item.key) && String(item.key.value) === String(step),
      );
      next = pair?.value;
      at = pair?.key;
    } else if (isSeq(node)) {
      next = node.items[Number(step)];
      at = next;
    }
    const range = isRanged(at) ? at.range : undefined;
    if (!range) return offset;
    offset = range[0];
    node = isNode(next) ? next : undefined;
  }
  return offset;
}

function isRanged(value: unknown): value is { range: [number, number, number] | null | undefined } {
  return typeof value === 'object' && value !== null && 'range' in value;
}

function isNode(value: unknown): value is Node {
  return isMap(value) || isSeq(value) || isScalar(value) || isAlias(value);
}
