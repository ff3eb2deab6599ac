import type { Style } from './style.ts';
import { displayWidth } from './text.ts';

export interface Column {
  title: string;
  align?: 'right';
}

/** Aligned columns with a headline; two blanks between them and none at the ends of lines. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], style: Style): string {
  const titles = columns.map((column) => column.title.toUpperCase());
  const widths = columns.map((_, i) => Math.max(...[titles, ...rows].map((row) => displayWidth(row[i] ?? ''))));
  const line = (row: readonly string[]): string =>
    columns
      .map((column, i) => {
        const cell = row[i] ?? '';
        const padding = ' '.repeat(Math.max(0, (widths[i] ?? 0) - displayWidth(cell)));
        return column.align === 'right' ? padding + cell : cell + padding;
      })
      .join('  ')
      .trimEnd();
  return [style.dim(line(titles)), ...rows.map(line)].join('\n');
}

/** `Label   value` lines; those without a value are left out. */
export function facts(pairs: readonly (readonly [string, string | undefined])[], style: Style): string {
  const shown = pairs.flatMap(([label, value]) => (value === undefined ? [] : [[label, value] as const]));
  const width = Math.max(0, ...shown.map(([label]) => displayWidth(label)));
  return shown.map(([label, value]) => `${style.dim(label.padEnd(width))}  ${value}`).join('\n');
}

export function indent(text: string, by = '  '): string {
  return text
    .split('\n')
    .map((line) => (line === '' ? line : by + line))
    .join('\n');
}

/** Parts that say something, a blank line between them. */
export function paragraphs(...parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== '').join('\n\n');
}
