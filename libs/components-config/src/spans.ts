import {
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  parseAllDocuments,
  type Document,
  type Node,
  type Scalar,
} from 'yaml';
import { isSecretValue, REDACTED, type SecretKeys } from './secret-keys.ts';

/** A place in a text where a secret stands. */
interface Span {
  /** Shown to people and kept in the facts: `db.password`. */
  key: string;
  /** Finds the same place in another version of the file. */
  id: string;
  start: number;
  end: number;
  /** What redaction writes there. */
  marker: string;
  /** The text that brings this value to the same place of another version. */
  carry: string;
}

export interface Located {
  spans: Span[];
  /** Keys with a value that the file has, secret or not. */
  keys: number;
}

/** Finds the secrets of a text by the format that its name says. Spans are ascending and never overlap. */
export function locate(name: string, text: string, secrets: SecretKeys): Located {
  const base = name.slice(name.lastIndexOf('/') + 1).toLowerCase();
  const found =
    (/\.(ya?ml|json)$/.test(base) ? structuredSpans(text, secrets) : undefined) ??
    lineSpans(text, secrets, /\.(conf|cnf)$/.test(base));
  return { spans: merge(text, [...pemSpans(text), ...found.spans, ...urlSpans(text)]), keys: found.keys };
}

/** In order, overlapping ones as one that covers both, each with a number that makes its id unique. */
function merge(text: string, spans: readonly Span[]): Span[] {
  const kept: Span[] = [];
  const seen = new Map<string, number>();
  for (const span of [...spans].sort((a, b) => a.start - b.start || b.end - a.end)) {
    const last = kept.at(-1);
    if (last && span.start < last.end) {
      if (span.end > last.end)
        kept[kept.length - 1] = { ...last, end: span.end, carry: text.slice(last.start, span.end) };
      continue;
    }
    const count = seen.get(span.id) ?? 0;
    seen.set(span.id, count + 1);
    kept.push({ ...span, id: `${span.id}#${count}` });
  }
  return kept;
}

/** YAML, and JSON as the subset that it is. Undefined when the text does not parse. */
function structuredSpans(text: string, secrets: SecretKeys): Located | undefined {
  const documents = parseAllDocuments(text, { logLevel: 'silent', uniqueKeys: false, merge: true });
  if (!Array.isArray(documents) || documents.some((document) => document.errors.length > 0)) return undefined;
  const found: Located = { spans: [], keys: 0 };
  for (const [index, document] of documents.entries()) {
    const prefix = index === 0 ? '' : `${index}:`;
    visit(document.contents, [], false, { document, secrets, text, found, prefix, seen: new Set() });
  }
  // Comments hold old passwords as readily as values hold new ones.
  for (const comment of text.matchAll(/(?:^|[ \t])#[^\n]*/gm))
    found.spans.push(...inlineSpans(comment[0], comment.index, secrets));
  return found;
}

interface Visit {
  document: Document;
  secrets: SecretKeys;
  text: string;
  found: Located;
  prefix: string;
  /** Nodes that were reached through an alias under a secret key; cycles end here. */
  seen: Set<Node>;
}

function visit(node: unknown, path: readonly string[], secret: boolean, context: Visit): void {
  if (isMap(node)) {
    for (const pair of node.items) {
      if (!isPair(pair)) continue;
      const key = isScalar(pair.key) ? String(pair.key.value) : '?';
      const below = [...path, key];
      if (isScalar(pair.value)) context.found.keys++;
      visit(pair.value, below, secret || context.secrets.matches(below), context);
    }
  } else if (isSeq(node)) {
    node.items.forEach((item, index) => {
      visit(item, [...path, String(index)], secret, context);
    });
  } else if (isAlias(node) && secret) {
    const target = node.resolve(context.document);
    if (target && !context.seen.has(target)) {
      context.seen.add(target);
      visit(target, path, true, context);
    }
  } else if (isScalar(node)) {
    if (secret) scalarSpan(node, path, context);
    else if (typeof node.value === 'string' && node.range) {
      context.found.spans.push(
        ...inlineSpans(context.text.slice(node.range[0], node.range[1]), node.range[0], context.secrets),
      );
    }
  }
}

function scalarSpan(node: Scalar, path: readonly string[], context: Visit): void {
  const [start, end] = node.range ?? [0, 0];
  const key = path.join('.');
  const value = textOf(node.value);
  if (end <= start || !isSecretValue(path.at(-1) ?? '', value)) return;
  const raw = context.text.slice(start, end);
  const block = node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED';
  const newline = block && raw.endsWith('\n') ? '\n' : '';
  const carry = block ? JSON.stringify(value) : raw;
  context.found.spans.push({ key, id: context.prefix + key, start, end, marker: `"${REDACTED}"${newline}`, carry });
}

/** The text of a scalar as it is compared; anything but texts, numbers and switches counts as empty. */
function textOf(value: unknown): string {
  return typeof value === 'string' ||
    typeof value === 'number' ||
    typeof value === 'bigint' ||
    typeof value === 'boolean'
    ? String(value)
    : '';
}

const LINE =
  /^([ \t\ufeff]*)((?:[#;]|\/\/)+[ \t]*)?((?:export|set|ENV|ARG)[ \t]+)?(["']?)([A-Za-z0-9_.\-/[\]]+)\4([ \t]*(?:[:=]|=>)[ \t]*)(.*)$/;
const BLANK_LINE = /^([ \t]*)((?:[#;])+[ \t]*)?()()([A-Za-z0-9_.-]+)([ \t]+)(.*)$/;

/** `KEY=value`, `key: value` and, where `blank` says so, `key value`, with comments and sections. */
function lineSpans(text: string, secrets: SecretKeys, blank: boolean): Located {
  const found: Located = { spans: [], keys: 0 };
  let section = '';
  for (let at = 0; at < text.length;) {
    const newline = text.indexOf('\n', at);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(at, end).replace(/\r$/, '');
    let next = end + 1;
    const head = /^[ \t]*\[+([^\]]+)\]+[ \t]*(?:[#;].*)?$/.exec(line);
    const match = head ? null : (LINE.exec(line) ?? (blank ? BLANK_LINE.exec(line) : null));
    if (head) {
      section = `${head[1] ?? ''}.`;
    } else if (match) {
      const [, , comment = '', , , key = '', , rest = ''] = match;
      const start = at + line.length - rest.length;
      const value = valueAt(text, start, at + line.length, comment === '');
      if (comment === '') found.keys++;
      next = Math.max(next, value.end);
      const path = `${section}${key}`.split('.');
      const inner =
        value.quote === ''
          ? text.slice(start, value.end)
          : text.slice(start + value.quote.length, value.end - value.quote.length);
      if (secrets.matches(path) && isSecretValue(key, inner)) {
        const id = `${comment === '' ? '' : '#'}${section}${key}`;
        const marker = `${value.quote.slice(0, 1)}${REDACTED}${value.quote.slice(0, 1)}`;
        found.spans.push({
          key: `${section}${key}`,
          id,
          start,
          end: value.end,
          marker,
          carry: text.slice(start, value.end),
        });
      }
    }
    at = next;
  }
  // Last: where both find the same place, the key of the line names it.
  found.spans.push(...inlineSpans(text, 0, secrets));
  return found;
}

/** Where a value ends: at its closing quote, also lines below; else at the end of the line, or of its continuations. */
function valueAt(text: string, start: number, lineEnd: number, mayContinue: boolean): { end: number; quote: string } {
  const first = text.charAt(start);
  if (first === '"' || first === "'" || first === '`') {
    const quote = text.startsWith(first.repeat(3), start) ? first.repeat(3) : first;
    for (let at = start + quote.length; at < (mayContinue ? text.length : lineEnd); at++) {
      if (text.charAt(at) === '\\' && first !== "'") at++;
      else if (text.startsWith(quote, at)) return { end: at + quote.length, quote };
    }
    return { end: lineEnd, quote: '' };
  }
  let end = lineEnd;
  while (mayContinue && text.charAt(end - 1) === '\\' && end > start) {
    const below = text.indexOf('\n', end + 1);
    const newEnd = below < 0 ? text.length : below;
    if (newEnd <= end) break;
    end = text.charAt(newEnd - 1) === '\r' ? newEnd - 1 : newEnd;
  }
  while (end > start && /\s/.test(text.charAt(end - 1))) end--;
  return { end, quote: '' };
}

/** Private keys in PEM (RFC 7468), whatever surrounds them. */
function pemSpans(text: string): Span[] {
  const spans: Span[] = [];
  for (const match of text.matchAll(
    /-----BEGIN ([A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?)-----[\s\S]*?(?:-----END \1-----|$(?![\s\S]))/g,
  )) {
    const [raw, label = 'PRIVATE KEY'] = match;
    spans.push({
      key: label,
      id: `pem ${label}`,
      start: match.index,
      end: match.index + raw.length,
      marker: `-----BEGIN ${label}-----${REDACTED}-----END ${label}-----`,
      carry: raw,
    });
  }
  return spans;
}

/** `password=x`, `"token": "x"` anywhere in a text: in inline tables, connection strings, query strings, comments. */
function inlineSpans(text: string, offset: number, secrets: SecretKeys): Span[] {
  const spans: Span[] = [];
  const pattern =
    /(?<![A-Za-z0-9_.-])(["']?)([A-Za-z0-9_.-]{1,100})\1[ \t]*[:=][ \t]*(?:"((?:\\.|[^"\\\n])*)"|'([^'\n]*)'|((?:\$\{[^}\s]*\}|[^\s"',;&{}[\]()])+))/g;
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    const [all, , key = '', double, single, plain] = match;
    const value = double ?? single ?? plain ?? '';
    const at = match.index + all.length - value.length - (plain === undefined ? 1 : 0);
    if (secrets.matches(key.split('.')) && isSecretValue(key, value)) {
      const start = offset + at;
      spans.push({ key, id: `inline ${key}`, start, end: start + value.length, marker: REDACTED, carry: value });
    } else {
      // The value may hold such a pair itself: `# old: PASSWORD=x`.
      pattern.lastIndex = Math.max(at, match.index + 1);
    }
  }
  return spans;
}

/** The password of `scheme://user:password@host`. */
function urlSpans(text: string): Span[] {
  const spans: Span[] = [];
  for (const match of text.matchAll(
    /([A-Za-z][A-Za-z0-9+.-]{0,30}:\/\/[^\s/?#:@"'`<>]{0,200}:)([^\s/@"'`<>]{1,500})@([^\s/"'`<>,;]{0,200})/g,
  )) {
    const [, before = '', password = '', host = ''] = match;
    if (/^\$\{?[A-Za-z_][A-Za-z0-9_]*\}?$/.test(password)) continue;
    const start = match.index + before.length;
    const key = `${before}***@${host}`;
    spans.push({ key, id: `url ${key}`, start, end: start + password.length, marker: REDACTED, carry: password });
  }
  return spans;
}
