import type { ExportResult, ImportResult } from '@foodsave-backup/engine';
import type { Style } from './style.ts';
import { paragraphs } from './table.ts';
import { count, visible } from './text.ts';
import { formatBytes, formatWhen } from './units.ts';

/** `export`: what was written, and where. */
export function exportedText(result: ExportResult, style: Style): string {
  const where = result.file === undefined ? '' : ` to ${visible(result.file)}`;
  const amount = `${count(result.files, 'file')}, ${formatBytes(result.sizeBytes)} in ${formatBytes(result.archiveBytes)}`;
  return `${style.green('✓ exported')}  ${style.bold(visible(result.name))}${where}: ${amount}`;
}

/** `import`: what was checked, and what became of it. */
export function importedText(result: ImportResult, now: number, style: Style): string {
  const { archive, backup, dryRun } = result;
  const checked = `${count(result.checkedFiles, 'file')}, ${formatBytes(result.checkedBytes)}`;
  const name = style.bold(visible(result.name));
  const headline = dryRun
    ? `${style.green('✓ ok')}  the archive is whole: ${checked}. It would become ${name}.`
    : `${style.green('✓ imported')}  ${name}: ${checked}, ${formatBytes(backup?.storedBytes ?? 0)} added to the repository`;
  return paragraphs(
    headline,
    `  ${visible(archive.name)}, made ${formatWhen(archive.createdAt, now)}: ${archive.components.map(visible).join(', ')}`,
  );
}
