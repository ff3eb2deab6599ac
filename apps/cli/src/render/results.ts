import type { CleanupResult, DeleteResult, TreeListing, VerifyResult } from '@foodsave-backup/engine';
import type { CheckResult } from '@foodsave-backup/contracts/types';
import { statusText } from './status.ts';
import type { Style } from './style.ts';
import { indent, paragraphs, table } from './table.ts';
import { count, grouped, visible } from './text.ts';
import { formatBytes, formatWhen } from './units.ts';

/** `verify`: what was looked at, and what was found. */
export function verifyText(result: VerifyResult, style: Style): string {
  const { status, level, checkedBytes, checkedFiles, damaged } = result;
  const looked =
    level === 'quick' || checkedFiles === 0
      ? 'presence and sizes checked'
      : `${status === 'ok' ? 'all data verified' : 'all data read'}: ${count(checkedFiles, 'file')}, ${formatBytes(checkedBytes)}`;
  const list = damaged.map((d) => `  ${visible(d.component)} ${visible(d.path)}: ${visible(d.reason)}`);
  return paragraphs(`${statusText(status, style)}  ${style.bold(visible(result.name))}: ${looked}`, list.join('\n'));
}

/** `check`. */
export function checkText(result: CheckResult, style: Style): string {
  const looked =
    result.checkedBytes > 0 ? `${formatBytes(result.checkedBytes)} of data read` : 'structure checked, data not read';
  const figures = [count(result.backups, 'backup'), count(result.packs, 'pack'), count(result.blobs, 'blob'), looked];
  const list = result.damaged.map(
    (d) => `  ${visible(d.what)}: ${visible(d.reason)}\n    ${style.dim(visible(d.remedy))}`,
  );
  const left =
    result.unreferencedPacks === 0
      ? undefined
      : `${count(result.unreferencedPacks, 'pack')} (${formatBytes(result.unreferencedBytes)}) not needed by any backup; "cleanup" removes them.`;
  const unconfirmed =
    result.unconfirmed.length === 0
      ? undefined
      : `Never confirmed, so not counted as backups: ${result.unconfirmed.map(visible).join(', ')}.`;
  const head = `${statusText(result.status, style)}  ${figures.join(' · ')}`;
  return paragraphs(head, list.join('\n'), affectedText(result.affected, style), left, unconfirmed);
}

/** Backups and files that cannot be restored whole, each file once; nothing when every backup can. */
export function affectedText({ backups, fileCount, files }: CheckResult['affected'], style: Style): string {
  if (backups.length === 0) return '';
  const listed = files.slice(0, FILES_SHOWN).map((file) => {
    const more = file.backupCount > NAMES_SHOWN ? ` and ${grouped(file.backupCount - NAMES_SHOWN)} more` : '';
    const names = `${file.backups.slice(0, NAMES_SHOWN).map(visible).join(', ')}${more}`;
    return `  ${visible(file.component)} ${visible(file.path)}: ${visible(file.reason)}\n    ${style.dim(`in ${names}`)}`;
  });
  const rest = fileCount - listed.length;
  if (rest > 0) listed.push(`  and ${grouped(rest)} more; --json lists up to 1,000`);
  const title = `Cannot be restored whole: ${count(fileCount, 'file')} in ${count(backups.length, 'backup')} (${shortList(backups)}).`;
  return `${style.red(title)}\n${listed.join('\n')}`;
}

function shortList(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_SHOWN).map(visible).join(', ');
  return names.length > NAMES_SHOWN ? `${shown} and ${grouped(names.length - NAMES_SHOWN)} more` : shown;
}

/** What a terminal shows of long lists. */
const FILES_SHOWN = 50;
const NAMES_SHOWN = 5;

/** `cleanup`: each with its reason. */
export function cleanupText(result: CleanupResult, style: Style): string {
  const { deleted, kept, dryRun, freedBytes, packs } = result;
  const gone = deleted.map(({ name, reason }) => [visible(name), visible(reason)]);
  const stay = kept.map(({ name, reasons }) => [visible(name), reasons.map(visible).join(', ')]);
  const listed = (title: string, why: string, rows: string[][]): string | undefined =>
    rows.length === 0 ? undefined : `${title}\n${indent(table([{ title: 'Name' }, { title: why }], rows, style))}`;
  const freed = `${formatBytes(freedBytes)} in ${count(packs, 'pack')}`;
  return paragraphs(
    listed(`${dryRun ? 'Would delete' : 'Deleted'} ${count(deleted.length, 'backup')}:`, 'Deleted because', gone) ??
      `${dryRun ? 'Would delete' : 'Deleted'} no backup.`,
    listed(`${dryRun ? 'Would keep' : 'Kept'} ${count(kept.length, 'backup')}:`, 'Kept because', stay),
    result.blocked === undefined ? undefined : style.yellow(`▲ Held back: ${visible(result.blocked)}`),
    `${dryRun ? 'Would free' : 'Freed'} ${freed}.`,
  );
}

export function deletedText(result: DeleteResult, style: Style): string {
  const names = [result.name, ...(result.also ?? [])].map((name) => style.bold(visible(name)));
  const freed = `Deleted ${names.join(', ')}, freed ${formatBytes(result.freedBytes)} in ${count(result.packs, 'pack')}.`;
  return result.blocked === undefined
    ? freed
    : `${freed}\n${style.yellow(`▲ Space was not freed: ${visible(result.blocked)}`)}`;
}

/** `ls`. `now`: ms since the epoch. */
export function treeText(listing: TreeListing, now: number, style: Style): string {
  if (listing.entries.length === 0) return 'Empty.';
  const columns = [
    { title: 'Mode' },
    { title: 'Size', align: 'right' as const },
    { title: 'Files', align: 'right' as const },
    { title: 'Modified' },
    { title: 'Path' },
  ];
  const rows = listing.entries.map((entry) => [
    modeText(entry.type, entry.mode),
    formatBytes(entry.sizeBytes),
    entry.files === undefined ? '' : grouped(entry.files),
    entry.modifiedAt === undefined ? '' : formatWhen(entry.modifiedAt, now),
    visible(entry.path) +
      (entry.type === 'directory' ? '/' : entry.linkTarget === undefined ? '' : ` -> ${visible(entry.linkTarget)}`),
  ]);
  return table(columns, rows, style);
}

const TYPE_LETTERS: Readonly<Record<string, string>> = { directory: 'd', symlink: 'l', fifo: 'p', file: '-' };

/** As `ls -l` of POSIX shows it. */
export function modeText(type: string, mode: number | undefined): string {
  const letter = TYPE_LETTERS[type] ?? '?';
  if (mode === undefined) return letter;
  const bits = Array.from('rwxrwxrwx', (bit, i) => ((mode & (0o400 >> i)) === 0 ? '-' : bit));
  if ((mode & 0o4000) !== 0) bits[2] = bits[2] === 'x' ? 's' : 'S';
  if ((mode & 0o2000) !== 0) bits[5] = bits[5] === 'x' ? 's' : 'S';
  if ((mode & 0o1000) !== 0) bits[8] = bits[8] === 'x' ? 't' : 'T';
  return letter + bits.join('');
}
