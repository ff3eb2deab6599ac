import type { SerializedError } from '@foodsave-backup/kernel';
import type { Style } from './style.ts';
import { visibleLines } from './text.ts';

/** `Error [CODE]: message`, and on lines of their own what to do next. */
export function errorText(error: Pick<SerializedError, 'code' | 'message' | 'hint'>, style: Style): string {
  const lines = [style.red(`${style.bold(`Error [${error.code}]:`)} ${visibleLines(error.message)}`)];
  if (error.hint !== undefined) lines.push(hintText(error.hint));
  return lines.join('\n');
}

export function hintText(hint: string): string {
  return visibleLines(hint)
    .split('\n')
    .map((line) => `→ ${line}`)
    .join('\n');
}

/** The stack of an error and of its causes, for --verbose. */
export function traceText(error: unknown, style: Style): string {
  const parts: string[] = [];
  for (let current: unknown = error; current instanceof Error && parts.length < 8; current = current.cause) {
    parts.push(`${parts.length === 0 ? '' : 'caused by: '}${current.stack ?? current.message}`);
  }
  return style.dim(parts.map(visibleLines).join('\n'));
}

/** What of an error stands in JSON. */
export function errorBody(error: SerializedError): { code: string; message: string; hint?: string } {
  const { code, message, hint } = error;
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}
