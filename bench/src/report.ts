import { median } from './measure.ts';
import type { Sample } from './workloads.ts';

export interface Figure {
  figure: string;
  unit: Sample['unit'];
  /** Median by tool. */
  medians: Record<string, number>;
  values: Record<string, number[]>;
  /** Ours divided by restic's, where both were measured. */
  ratio?: number;
}

/** In the order in which they were measured. */
export function summarize(samples: readonly Sample[]): Figure[] {
  const figures = new Map<string, Figure>();
  for (const { figure, tool, value, unit } of samples) {
    const known = figures.get(figure) ?? { figure, unit, medians: {}, values: {} };
    (known.values[tool] ??= []).push(value);
    figures.set(figure, known);
  }
  for (const figure of figures.values()) {
    for (const [tool, values] of Object.entries(figure.values)) figure.medians[tool] = median(values);
    const { 'foodsave-backup': own, restic } = figure.medians;
    if (own !== undefined && restic !== undefined && restic > 0) figure.ratio = own / restic;
  }
  return [...figures.values()];
}

function written(value: number | undefined, unit: Sample['unit']): string {
  if (value === undefined) return '–';
  if (unit === 's' && value < 0.1) return `${(value * 1000).toFixed(1)} ms`;
  if (unit === 's' || unit === 'CPU s') return `${value.toFixed(2)} ${unit}`;
  return `${(value / 1e6).toFixed(1)} MB`;
}

/** A table in Markdown. */
export function table(figures: readonly Figure[], tools: readonly string[]): string {
  const head = ['figure', ...tools, 'ours / restic'];
  const rows = figures.map(({ figure, unit, medians, ratio }) => [
    figure,
    ...tools.map((tool) => written(medians[tool], unit)),
    ratio === undefined ? '–' : ratio.toFixed(2),
  ]);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
