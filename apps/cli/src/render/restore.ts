import type { PlanView, RestoreResult } from '@foodsave-backup/engine';
import type { Style } from './style.ts';
import { indent, paragraphs, table } from './table.ts';
import { count, grouped, visible, visibleLines } from './text.ts';
import { formatBytes } from './units.ts';

const right = (title: string): { title: string; align: 'right' } => ({ title, align: 'right' });

/** Paths named a component unless all are asked for. */
const PATHS_SHOWN = 10;

/** What a restore in place would do. `all`: name every path. */
export function planText(result: RestoreResult, all: boolean, style: Style): string {
  const plans = Object.entries(result.plan ?? {});
  const columns = [
    { title: 'Component' },
    right('Added'),
    right('Replaced'),
    right('Deleted'),
    right('Unchanged'),
    right('Bytes'),
  ];
  const rows = plans.map(([instance, { counts, bytes }]) => [
    visible(instance),
    grouped(counts.added),
    grouped(counts.replaced),
    counts.deleted === 0 ? '0' : style.red(grouped(counts.deleted)),
    grouped(counts.unchanged),
    formatBytes(bytes),
  ]);
  const paths = plans.map(([instance, plan]) => planPaths(instance, plan, all, style));
  return paragraphs(
    `Restoring ${style.bold(visible(result.name))} in place would change:`,
    indent(table(columns, rows, style)),
    ...paths,
  );
}

/** What is lost is always named; what comes back, on demand. */
function planPaths(instance: string, plan: PlanView, all: boolean, style: Style): string {
  const parts = [
    pathList(`${instance}: deleted`, plan.deleted, plan.counts.deleted, all ? Infinity : PATHS_SHOWN, style),
  ];
  if (all) {
    parts.push(pathList(`${instance}: replaced`, plan.replaced, plan.counts.replaced, Infinity, style));
    parts.push(pathList(`${instance}: added`, plan.added, plan.counts.added, Infinity, style));
  }
  return parts.filter((part) => part !== '').join('\n');
}

function pathList(title: string, paths: readonly string[], total: number, most: number, style: Style): string {
  if (total === 0) return '';
  const shown = paths.slice(0, most).map((path) => `  ${visible(path)}`);
  const rest = total - shown.length;
  if (rest > 0) shown.push(style.dim(`  and ${grouped(rest)} more`));
  return [`${visible(title)}:`, ...shown].join('\n');
}

/** What a restore to a directory, or a finished one, wrote or would write. */
export function restoredText(result: RestoreResult, style: Style): string {
  const components = Object.entries(result.components);
  const files = components.reduce((sum, [, c]) => sum + c.files, 0);
  const bytes = components.reduce((sum, [, c]) => sum + c.bytes, 0);
  const amount = `${count(files, 'file')}, ${formatBytes(bytes)}`;
  const name = style.bold(visible(result.name));
  const place = result.target === undefined ? 'in place' : `to ${visible(result.target)}`;
  const done = result.failed.length === 0 ? style.green('✓ restored') : style.yellow('▲ restored in part');
  const headline = result.dryRun ? `Would restore ${name} ${place}: ${amount}` : `${done}  ${name} ${place}: ${amount}`;
  const columns = [{ title: 'Component' }, right('Files'), right('Bytes')];
  const rows = components.map(([instance, c]) => [visible(instance), grouped(c.files), formatBytes(c.bytes)]);
  const notes = components.flatMap(([instance, c]) =>
    c.notes.map((note) => `${visible(instance)}: ${visibleLines(note)}`),
  );
  return paragraphs(
    headline,
    rows.length === 0 ? undefined : indent(table(columns, rows, style)),
    notes.join('\n'),
    failedText(result, style),
    result.undo === undefined
      ? undefined
      : `To take it back: foodsave-backup undo (it restores ${visible(result.undo)})`,
  );
}

function failedText(result: RestoreResult, style: Style): string | undefined {
  if (result.failed.length === 0) return undefined;
  const lines = result.failed.map((f) => `  ${visible(f.component)} ${visible(f.path)}: ${visible(f.message)}`);
  return [style.red(`${count(result.failed.length, 'entry', 'entries')} could not be restored:`), ...lines].join('\n');
}
